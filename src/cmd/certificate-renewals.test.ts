import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { systemClock } from "../os/index.ts";
import type { KeyPair } from "../os/index.ts";
import { PeerGroup, type TestMember } from "../os/testing/peer-group.ts";
import type { MemberId } from "../store/index.ts";
import { askRenewal } from "./ask-renewal.ts";
import { createRenewals } from "./certificate-renewals.ts";
import type { RenewalOptions } from "./certificate-renewals.ts";
import { clusterIssuer } from "./cluster-api.ts";
import { createDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { readJoinRecord, writeJoinRecord } from "./join-record.ts";
import { RENEWAL_PATH } from "./join-wire.ts";
import { keepMachineCertificate } from "./machine-certificate.ts";
import { FakeMembership, FOUNDER } from "./testing/fake-membership.ts";

const WITNESS = { ...FOUNDER, id: 7 as MemberId, name: "w", role: "witness" as const };
const LIFETIME_MS = 20 * 24 * 60 * 60 * 1000;

describe("renewal of certificates", () => {
  let group: PeerGroup;
  let server: TestMember;
  let membership: FakeMembership;
  let nodes: Set<string>;
  let barriers: number;
  let root: string;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "kubun-renewal-"));
    group = await PeerGroup.create();
    server = await group.member(FOUNDER.id);
    membership = new FakeMembership();
    await membership.add(WITNESS);
    nodes = new Set(["pi"]);
    barriers = 0;
    serve(server);
  });

  afterEach(async () => {
    await group.close();
    rmSync(root, { recursive: true, force: true });
  });

  function serve(on: TestMember, override: Partial<RenewalOptions> = {}): void {
    const renewals = createRenewals({
      store: {
        membership,
        barrier() {
          barriers++;
          return Promise.resolve(1 as never);
        },
      },
      credentials: { holds: (name) => Promise.resolve(nodes.has(name)) },
      issuer: clusterIssuer(group.ca, systemClock, { lifetimeMs: LIFETIME_MS + 365 * 86_400_000 }),
      clock: new ManualClock(),
      logger: silentLogger,
      ...override,
    });
    on.transport.serveHttp((request, peer) => {
      const { pathname } = new URL(request.url);
      if (pathname === RENEWAL_PATH) return renewals(request, peer);
      return Promise.resolve(new Response(`hello ${peer.commonName}`));
    });
  }

  function ask(current: KeyPair, servers = [{ id: 1, address: server.address }]): Promise<KeyPair> {
    const link = group.open({ keyPair: current });
    const { signal } = new AbortController();
    const { certificate } = current;
    return askRenewal({ link, current: certificate, ca: group.ca.certificate, servers, signal });
  }

  function refused(current: KeyPair): Promise<string> {
    return ask(current).then(() => "granted", String);
  }

  test("createRenewals gives a node and a witness one for their name, and a new key", async () => {
    for (const current of [await group.keysOfNode("pi"), await group.keysOfMember(WITNESS.id)]) {
      const renewed = await ask(current);
      const [before, after] = [current, renewed].map((it) => new X509Certificate(it.certificate));
      expect(after?.subject).toBe(before?.subject ?? "");
      expect(Date.parse(after?.validTo ?? "")).toBeGreaterThan(Date.parse(before?.validTo ?? ""));
      expect(renewed.privateKey).not.toBe(current.privateKey);
      expect(await ask(renewed).catch(String)).not.toContain("PeerError");
    }
    expect(barriers).toBeGreaterThanOrEqual(2);
  });

  test("createRenewals gives nothing to a node without its Node or its key", async () => {
    const current = await group.keysOfNode("pi");
    nodes.clear();
    expect(await refused(current)).toContain("node pi was removed from this cluster");
  });

  test("createRenewals gives nothing to a member that was removed", async () => {
    await membership.remove(WITNESS.id);
    const said = await refused(await group.keysOfMember(WITNESS.id));
    expect(said).toContain("kubun:member:7 is no member of this cluster");
  });

  test("createRenewals says nothing before the latest state is known", async () => {
    serve(server, {
      store: { membership, barrier: () => Promise.reject(new Error("no leader")) },
    });
    expect(await refused(await group.keysOfNode("pi"))).toContain("the server failed");
  });

  test("createRenewals refuses what is no request, and too much of it", async () => {
    const link = group.open({ keyPair: await group.keysOfNode("pi") });
    const fetchServer = link.fetchFrom(server.address, { organizations: ["kubun:servers"] });
    const post = (body: string): Promise<Response> =>
      fetchServer(new Request(`http://peer${RENEWAL_PATH}`, { method: "POST", body }));
    expect((await post("{}")).status).toBe(400);
    expect((await post("x".repeat(20_000))).status).toBe(413);
    const garbage = { certificateRequest: "-----BEGIN CERTIFICATE REQUEST-----\nx\n" };
    expect((await post(JSON.stringify(garbage))).status).toBe(400);
  });

  test("createRenewals slows one down that asks without end, and nobody else", async () => {
    const pi = group.open({ keyPair: await group.keysOfNode("pi") });
    const fetchServer = pi.fetchFrom(server.address, { organizations: ["kubun:servers"] });
    const statuses: number[] = [];
    for (let time = 0; time < 12; time++) {
      const request = new Request(`http://peer${RENEWAL_PATH}`, { method: "POST", body: "{}" });
      statuses.push((await fetchServer(request)).status);
    }
    expect(statuses.slice(-2)).toEqual([429, 429]);
    expect(await refused(await group.keysOfMember(WITNESS.id))).toBe("granted");
  });

  test("askRenewal goes on to the next server, and takes nothing that would not work", async () => {
    const current = await group.keysOfNode("pi");
    const dead = { id: 3, address: "127.0.0.1:1" };
    await ask(current, [dead, { id: 1, address: server.address }]);
    // Whoever else listens at a server's address is told nothing.
    const other = { id: 2, address: server.address };
    expect(await ask(current, [other]).catch(String)).toContain("not kubun:member:2");
    expect(await ask(current, []).catch(String)).toContain("no server is known");
    const foreign = await PeerGroup.create();
    serve(server, { issuer: clusterIssuer(foreign.ca, systemClock) });
    expect(await refused(current)).toContain("for another name or key");
    await foreign.close();
    serve(server, { issuer: clusterIssuer(group.ca, systemClock, { lifetimeMs: 60_000 }) });
    expect(await refused(current)).toContain("ends no later");
  });

  test("keepMachineCertificate shows the new one everywhere, and keeps it on disk", async () => {
    const directory = await joinedDirectory(await group.keysOfNode("pi"));
    const peer = pairIn(directory);
    const link = group.open({ keyPair: peer });
    link.serveHttp(() => Promise.resolve(new Response("node")));
    const stop = new AbortController();
    // Two thirds of a year are over.
    const clock = { ...systemClock, now: () => Date.now() + 250 * 86_400_000 };
    const running = keepMachineCertificate({
      directory,
      link,
      peer,
      ca: group.ca.certificate,
      servers: () => Promise.resolve([{ id: 1, address: server.address }]),
      clock,
      random: new SeededRandom(3),
      logger: silentLogger,
      signal: stop.signal,
    });
    const renewed = await eventually(() => {
      const pair = pairIn(directory);
      return pair.certificate === peer.certificate ? undefined : pair;
    });
    expect(new X509Certificate(renewed.certificate).subject).toContain("CN=system:node:pi");
    await eventually(() => existsSync(join(directory.tls, "peer.crt")));
    expect(readFileSync(join(directory.tls, "peer.key"), "utf8")).toBe(renewed.privateKey);
    const caller = server.transport.fetchFrom(`127.0.0.1:${link.port}`, {
      organizations: ["system:nodes"],
    });
    expect(await (await caller(new Request("http://peer/"))).text()).toBe("node");
    const reached = link.fetchFrom(server.address, { organizations: ["kubun:servers"] });
    expect(await (await reached(new Request("http://peer/"))).text()).toBe("hello system:node:pi");
    stop.abort();
    await running;
  });

  async function joinedDirectory(peer: KeyPair): Promise<DataDirectory> {
    const directory = createDataDirectory(join(root, "pi"));
    await writeJoinRecord(directory, {
      version: 1,
      phase: "joined",
      role: "agent",
      server: "https://127.0.0.1:1",
      name: "pi",
      nodeSecret: "ab".repeat(32),
      privateKey: peer.privateKey,
      ca: group.ca.certificate,
      answer: {
        clusterId: "c",
        certificate: peer.certificate,
        servers: [],
        settings: {
          clusterCidr: "127.42.0.0/16",
          serviceCidr: "127.43.0.0/16",
          serviceNodePortRange: { from: 30_000, to: 32_767 },
        },
      },
    });
    return directory;
  }

  function pairIn(directory: DataDirectory): KeyPair {
    const record = readJoinRecord(directory);
    if (record?.phase !== "joined") throw new Error("the record is gone");
    return { privateKey: record.privateKey, certificate: record.answer.certificate };
  }
});
