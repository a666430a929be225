import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseJoinToken } from "../cli/index.ts";
import type { Secret } from "../api/index.ts";
import { silentLogger } from "../lib/index.ts";
import {
  certificateHash,
  createDisk,
  processStartTime,
  systemClock,
  systemRandom,
} from "../os/index.ts";
import { createCertificateAuthority, issueServerCertificate } from "../os/certificates.ts";
import { openStore } from "../store/index.ts";
import { createDataDirectory, writeServerRecord } from "./data-directory.ts";
import { groupVerbs } from "./join-verbs.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { SNAPSHOT_BYTES_HEADER } from "./snapshot-stream.ts";
import { FakeMembership } from "./testing/fake-membership.ts";

let root: string;
let kubeconfig: string;
let authority: string;
let out: string;
let listener: Bun.Server<undefined>;
const secrets = new Map<string, Secret>();
let answer: (path: string, request: Request) => Response | undefined;

const verbs = groupVerbs({ write: (text) => void (out += text) });
const bytes = new TextEncoder().encode("not really a state");

async function serveSecrets(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname;
  const special = answer(path, request);
  if (special !== undefined) return special;
  const collection = "/api/v1/namespaces/kube-system/secrets";
  const name = path.slice(collection.length + 1);
  if (request.method === "POST" && path === collection) {
    const secret = (await request.json()) as Secret;
    secrets.set(secret.metadata.name ?? "", secret);
    return Response.json(secret, { status: 201 });
  }
  if (request.method === "GET" && path === collection) {
    return Response.json({ metadata: {}, items: [...secrets.values()] });
  }
  if (request.method === "DELETE" && secrets.delete(name)) return Response.json({});
  return Response.json({ kind: "Status", message: "not found", code: 404 }, { status: 404 });
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "kubun-verbs-"));
  const ca = await createCertificateAuthority(Date.now());
  const keys = await issueServerCertificate({ ca, names: ["127.0.0.1"], nowMs: Date.now() });
  authority = ca.certificate;
  listener = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: keys.certificate, key: keys.privateKey },
    fetch: (request) =>
      request.headers.get("authorization") === "Bearer admin"
        ? serveSecrets(request)
        : new Response("who?", { status: 401 }),
  });
  kubeconfig = join(root, "kubeconfig.yaml");
  const server = `https://127.0.0.1:${listener.port}`;
  writeKubeconfig(kubeconfig, { server, ca: ca.certificate, token: "admin" });
});

beforeEach(() => {
  out = "";
  secrets.clear();
  answer = () => undefined;
});

afterAll(async () => {
  await listener.stop(true);
  rmSync(root, { recursive: true, force: true });
});

describe("groupVerbs", () => {
  test("groupVerbs: a token is printed alone, listed without its secret, and revoked", async () => {
    const dataDir = root;
    const given = { dataDir, kubeconfig };
    await verbs.tokenCreate({ ...given, role: "server", ttlMs: 3_600_000, description: "rack 2" });
    const token = parseJoinToken(out.trimEnd());
    expect(token?.caHash).toBe(certificateHash(authority).slice(0, 32));
    expect(out.endsWith("\n")).toBe(true);
    out = "";
    await verbs.tokenList(given);
    expect(out).toMatch(/^ID +ROLE +EXPIRES +DESCRIPTION\n\w{6} +server +in \d+m/);
    expect(out).toContain("rack 2");
    expect(out).not.toContain(token?.secret ?? "?");
    await verbs.tokenRevoke(token?.id ?? "", given);
    expect(secrets.size).toBe(0);
    expect(verbs.tokenRevoke("abc123", given)).rejects.toThrow("there is no token abc123");
  });

  test("groupVerbs: members are listed, promoted and removed", async () => {
    const membership = new FakeMembership();
    const [member] = membership.members();
    const calls: string[] = [];
    answer = (path, { method }) => {
      calls.push(`${method} ${path}`);
      return method === "GET"
        ? Response.json({ clusterId: "c", members: membership.status() })
        : Response.json({ member });
    };
    const given = { dataDir: root, kubeconfig };
    await verbs.memberList(given);
    expect(out).toMatch(
      /^ID +NAME +ROLE +REACHABLE +BEHIND +PEER ADDRESS +API\n1 +one +leader +yes/,
    );
    await verbs.memberPromote("one", given);
    await verbs.memberRemove("a/b", given);
    expect(calls).toEqual([
      "GET /kubun/v1/members",
      "POST /kubun/v1/members/one/promote",
      "DELETE /kubun/v1/members/a%2Fb",
    ]);
    expect(out).toContain("cannot vote again");
  });

  test("groupVerbs: what the server refuses is told in its words", async () => {
    answer = () =>
      Response.json({ kind: "Status", message: "it lags behind", code: 409 }, { status: 409 });
    const attempt = verbs.memberPromote("one", { dataDir: root, kubeconfig });
    expect(attempt).rejects.toThrow("it lags behind");
    answer = () => Response.json({ members: "none" });
    expect(verbs.memberList({ dataDir: root, kubeconfig })).rejects.toThrow("a form that is not");
  });

  test("groupVerbs: without a running server or a kubeconfig they say what to give", async () => {
    expect(verbs.memberList({ dataDir: join(root, "none") })).rejects.toThrow("--kubeconfig");
    const missing = verbs.memberList({ dataDir: root, kubeconfig: join(root, "missing") });
    expect(missing).rejects.toThrow("there is no such file");
  });

  test("groupVerbs: a snapshot is whole and private, or not there", async () => {
    const file = join(root, "whole.db");
    const given = { dataDir: root, kubeconfig };
    let catalog = Response.json({ repositories: [] });
    const send = (path: string, count: number): Response =>
      path === "/v2/_catalog"
        ? catalog.clone()
        : new Response(bytes, { headers: { [SNAPSHOT_BYTES_HEADER]: String(count) } });
    answer = (path) => send(path, bytes.length);
    await verbs.snapshotSave(file, given);
    expect(await Bun.file(file).bytes()).toEqual(bytes);
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(existsSync(join(`${file}.images`, "index.json"))).toBe(true);
    expect(verbs.snapshotSave(file, given)).rejects.toThrow("exists");
    const cut = join(root, "cut.db");
    const left = (): boolean =>
      ["", ".partial", ".images", ".images.partial"].some((end) => existsSync(`${cut}${end}`));
    answer = (path) => send(path, bytes.length + 1);
    const refusal = (): Promise<string> => verbs.snapshotSave(cut, given).then(() => "", String);
    expect(await refusal()).toContain("18 of 19 bytes");
    expect(left()).toBe(false);
    answer = (path) => send(path, bytes.length);
    catalog = new Response("not JSON");
    expect(await refusal()).toContain("listing the repositories");
    expect(left()).toBe(false);
  });

  test("groupVerbs: a stopped cluster's state is saved and restored", async () => {
    const [from, to] = [join(root, "from"), join(root, "to")];
    const directory = createDataDirectory(from);
    const open = (path: string): ReturnType<typeof openStore> =>
      openStore({
        directory: path,
        disk: createDisk(),
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      });
    const store = await open(directory.store);
    for (let count = 0; count < 5; count++) await store.create(`/k${count}`, bytes);
    const { revision } = store;
    await store.close();
    const file = join(root, "offline.db");
    await verbs.snapshotSave(file, { dataDir: from });
    await verbs.snapshotRestore(file, { dataDir: to });
    const told = Number(/to revision (\d+)/.exec(out)?.[1]);
    expect(told).toBeGreaterThanOrEqual(revision);
    expect(verbs.snapshotRestore(file, { dataDir: to })).rejects.toThrow();
    const restored = await open(createDataDirectory(to).store);
    expect(restored.count("/k")).toBe(5);
    expect((await restored.create("/after", bytes)).modRevision).toBeGreaterThan(revision);
    await restored.close();
  });

  test("groupVerbs: nothing is restored under a running server, or from junk", async () => {
    const directory = createDataDirectory(join(root, "busy"));
    writeServerRecord(directory, {
      pid: process.pid,
      startTime: processStartTime(process.pid) ?? "",
      version: "1",
      server: "https://127.0.0.1:1",
      ingress: "http://127.0.0.1:1",
      startedAt: "2026-01-01T00:00:00Z",
    });
    const file = join(root, "text.db");
    writeFileSync(file, "no state");
    const busy = verbs.snapshotRestore(file, { dataDir: directory.path });
    expect(busy).rejects.toThrow("stop it first");
    const wrong = verbs.snapshotRestore(file, { dataDir: join(root, "new") });
    expect(wrong).rejects.toThrow();
    const missing = verbs.snapshotRestore(join(root, "no"), { dataDir: join(root, "new") });
    expect(missing).rejects.toThrow("there is no file");
    const nothing = verbs.snapshotSave(join(root, "x.db"), { dataDir: join(root, "empty") });
    expect(nothing).rejects.toThrow("holds no state");
  });
});
