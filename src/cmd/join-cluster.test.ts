import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatJoinToken } from "../cli/index.ts";
import { SeededRandom, silentLogger } from "../lib/index.ts";
import type { LogFields, Logger } from "../lib/index.ts";
import { certificateHash, systemClock } from "../os/index.ts";
import type { KeyPair } from "../os/index.ts";
import { createCertificateAuthority, issueServerCertificate } from "../os/certificates.ts";
import { issueMemberCertificate, issueNodeCertificate } from "../os/certificate-requests.ts";
import type { MemberId } from "../store/index.ts";
import { createDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { createClusterApp } from "./join-app.ts";
import type { ClusterApp, ClusterAppOptions } from "./join-app.ts";
import { joinAsAgent, joinAsServer } from "./join-cluster.ts";
import type { JoinedServer, JoinServerOptions } from "./join-cluster.ts";
import { portsOf, readJoinRecord } from "./join-record.ts";
import type { TokenVerdict } from "./join-admission.ts";
import { FakeMembership, FOUNDER } from "./testing/fake-membership.ts";

const SETTINGS = {
  clusterCidr: "127.42.0.0/16",
  serviceCidr: "127.43.0.0/16",
  serviceNodePortRange: { from: 30_000, to: 32_767 },
};
const SECRET = "0123456789abcdef";
/** One cluster's API behind a real TLS listener. */
interface Server {
  readonly url: string;
  readonly app: ClusterApp;
  readonly membership: FakeMembership;
  readonly verdicts: Map<string, TokenVerdict>;
  /** Node name → its secret; and which Nodes exist. */
  readonly keys: Map<string, string>;
  readonly nodes: Set<string>;
  /** Paths that were asked for, with the status answered. */
  readonly asked: string[];
  readonly lines: string[];
  /** Answers instead of the app. */
  instead: ((request: Request) => Response | Promise<Response> | undefined) | undefined;
  stop(): Promise<void>;
}

let ca: KeyPair;
let keys: KeyPair;
let token: string;
let root: string;
let server: Server;
const servers: Server[] = [];
let directories = 0;

function startServer(override: Partial<ClusterAppOptions> = {}, tls = keys): Server {
  const membership = new FakeMembership();
  const verdicts = new Map<string, TokenVerdict>();
  const [nodeKeys, nodes] = [new Map<string, string>(), new Set<string>()];
  const [asked, lines]: [string[], string[]] = [[], []];
  const now = (): number => systemClock.now();
  const app = createClusterApp({
    store: {
      leadership: { term: 1 as never, leader: FOUNDER.id, self: true },
      membership,
      barrier: () => Promise.resolve(7 as never),
      snapshot: () => Promise.resolve(),
    },
    ca,
    adminToken: "admin-token",
    settings: SETTINGS,
    tokens: {
      verify: async (bearer, role) => verdicts.get(`${bearer} ${role}`) ?? { type: "unknown" },
    },
    credentials: {
      async claim(name, secret) {
        const former = nodeKeys.get(name);
        if (former !== undefined && former !== secret && nodes.has(name)) return "taken";
        nodeKeys.set(name, secret);
        return "claimed";
      },
      holds: (name) => Promise.resolve(nodeKeys.has(name) && nodes.has(name)),
      async forget(name) {
        nodeKeys.delete(name);
      },
    },
    issuer: {
      issueForMember: (request, id) =>
        issueMemberCertificate(ca, request, id, { names: [], nowMs: now() }),
      issueForNode: (request, name) =>
        issueNodeCertificate(ca, request, name, { names: [], nowMs: now() }),
    },
    authenticate: () => undefined,
    peer: () => undefined,
    snapshotDirectory: root,
    clock: systemClock,
    random: new SeededRandom(9),
    logger: recordingLogger(lines),
    ...override,
  });
  const listener = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: tls.certificate, key: tls.privateKey },
    async fetch(request, from) {
      const address = from.requestIP(request)?.address ?? "";
      const answer = started.instead?.(request) ?? app.fetch(request, { address, relayed: false });
      const response = await answer;
      asked.push(`${request.method} ${new URL(request.url).pathname} ${response.status}`);
      return response;
    },
  });
  const started: Server = {
    url: `https://127.0.0.1:${listener.port}`,
    app,
    membership,
    verdicts,
    keys: nodeKeys,
    nodes,
    asked,
    lines,
    instead: undefined,
    stop: () => listener.stop(true),
  };
  servers.push(started);
  for (const role of ["server", "agent"]) {
    verdicts.set(`abc123.${SECRET} ${role}`, { type: "valid", id: "abc123" });
  }
  return started;
}

function recordingLogger(lines: string[]): Logger {
  const log = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  return logger;
}

function newDirectory(): DataDirectory {
  return createDataDirectory(join(root, `d${directories++}`));
}

function options(
  directory: DataDirectory,
  more: Partial<JoinServerOptions> = {},
): JoinServerOptions {
  return {
    directory,
    join: server.url,
    token,
    name: "two",
    peer: { port: 2001 },
    api: { port: 2002 },
    witness: false,
    settings: {},
    clock: systemClock,
    random: new SeededRandom(directories + 100),
    logger: silentLogger,
    ...more,
  };
}

async function joined(given: JoinServerOptions): Promise<JoinedServer> {
  const result = await joinAsServer(given);
  if (result === undefined) throw new Error("it did not join");
  return result;
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "kubun-join-"));
  ca = await createCertificateAuthority(Date.now());
  keys = await issueServerCertificate({ ca, names: ["127.0.0.1"], nowMs: Date.now() });
  const caHash = certificateHash(ca.certificate).slice(0, 32);
  token = formatJoinToken({ caHash, id: "abc123", secret: SECRET });
});

beforeEach(() => {
  server = startServer();
});

afterAll(async () => {
  await Promise.all(servers.map((one) => one.stop()));
  rmSync(root, { recursive: true, force: true });
});

describe("joinAsServer", () => {
  test("joinAsServer brings keys, settings and a certificate of its own", async () => {
    const directory = newDirectory();
    const result = await joined(options(directory));
    expect(result.clusterId).toBe("cluster-1");
    expect(result.secrets).toEqual({ ca, adminToken: "admin-token" });
    expect(result.settings).toEqual(SETTINGS);
    expect(result.self).toMatchObject({
      name: "two",
      role: "learner",
      peerAddress: "127.0.0.1:2001",
      apiAddress: "https://127.0.0.1:2002",
    });
    expect(result.members.map(({ id }) => id)).toEqual([FOUNDER.id, result.self.id]);
    expect(result.servers).toEqual(["https://127.0.0.1:1002", "https://127.0.0.1:2002"]);
    expect(readFileSync(join(directory.tls, "ca.key"), "utf8")).toBe(ca.privateKey);
    expect(server.keys.get("two")).toBe(result.nodeSecret);
  });

  test("joinAsServer needs neither server nor token at later starts", async () => {
    const directory = newDirectory();
    const first = await joined(options(directory));
    await server.stop();
    const again = await joined(options(directory, { join: undefined, token: undefined }));
    expect(again).toEqual(first);
    // A crash before the first start is over must not let it listen elsewhere than it said.
    expect(portsOf(readJoinRecord(directory))).toEqual({ peerPort: 2001, httpsPort: 2002 });
  });

  test("joinAsServer leaves a founder alone, who can join no other cluster", async () => {
    const directory = newDirectory();
    expect(await joinAsServer(options(directory, { join: undefined }))).toBeUndefined();
    await Bun.write(join(directory.tls, "ca.crt"), ca.certificate);
    expect(await joinAsServer(options(directory, { join: undefined }))).toBeUndefined();
    expect(joinAsServer(options(directory))).rejects.toThrow("holds a cluster of its own");
  });

  test("joinAsServer says that a token is missing, and where it goes", async () => {
    const attempt = joinAsServer(options(newDirectory(), { token: undefined }));
    expect(attempt).rejects.toThrow("--token, --token-file or KUBUN_TOKEN");
  });

  test("joinAsServer gives a witness no keys, no API and no node", async () => {
    const directory = newDirectory();
    const { api, ...rest } = options(directory, { witness: true, name: "third" });
    const result = await joined(rest);
    expect(api).toBeDefined();
    expect(result.secrets).toBeUndefined();
    expect(result.self).toMatchObject({ role: "witness", apiAddress: "" });
    expect(server.keys.has("third")).toBe(false);
    expect(await joined({ ...rest, join: undefined })).toEqual(result);
  });

  test("joinAsServer sends nothing to a cluster with another authority", async () => {
    const caHash = "0".repeat(32);
    const other = formatJoinToken({ caHash, id: "abc123", secret: SECRET });
    const attempt = joinAsServer(options(newDirectory(), { token: other }));
    expect(attempt).rejects.toThrow("is not of the cluster that made the token");
    expect(server.asked).toEqual(["GET /cacerts 200"]);
  });

  test("joinAsServer sends nothing to who only shows the authority's certificate", async () => {
    const other = await createCertificateAuthority(Date.now());
    const names = ["127.0.0.1"];
    const impostorKeys = await issueServerCertificate({ ca: other, names, nowMs: Date.now() });
    const impostor = startServer({}, impostorKeys);
    const attempt = joinAsServer(options(newDirectory(), { join: impostor.url }));
    expect(attempt).rejects.toThrow("the token was not sent");
    expect(impostor.asked).toEqual(["GET /cacerts 200"]);
  });

  test("joinAsServer tells how a certificate comes to cover the name asked by", async () => {
    const narrow = await issueServerCertificate({ ca, names: ["a.example"], nowMs: Date.now() });
    const { url } = startServer({}, narrow);
    const attempt = joinAsServer(options(newDirectory(), { join: url }));
    expect(attempt).rejects.toThrow("--tls-san 127.0.0.1");
  });

  test("joinAsServer tells why a token was refused", async () => {
    const bearer = `abc123.${SECRET} server`;
    const cases: [TokenVerdict, string][] = [
      [{ type: "unknown" }, "may have been revoked"],
      [{ type: "expired" }, "has expired"],
      [{ type: "other-role" }, "does not let a machine join as server"],
    ];
    for (const [verdict, message] of cases) {
      server.verdicts.set(bearer, verdict);
      const attempt = joinAsServer(options(newDirectory()));
      expect(attempt).rejects.toThrow(message);
    }
    expect(server.membership.list).toHaveLength(1);
  });

  test("joinAsServer refuses ranges that differ from the cluster's", async () => {
    const attempt = joinAsServer(
      options(newDirectory(), { settings: { serviceCidr: "127.99.0.0/16" } }),
    );
    expect(attempt).rejects.toThrow(
      "--service-cidr 127.99.0.0/16 differs from the cluster's, which is 127.43.0.0/16",
    );
    expect(server.membership.list).toHaveLength(1);
  });

  test("joinAsServer asked again after a lost answer is the same member", async () => {
    const directory = newDirectory();
    server.membership.failAfter = new Error("the power went");
    const result = await joined(options(directory));
    expect(server.asked.slice(1)).toEqual([
      "POST /kubun/v1/join/server 500",
      "POST /kubun/v1/join/server 200",
    ]);
    expect(server.membership.list).toHaveLength(2);
    expect(server.membership.list[1]?.id).toBe(result.self.id);
  });

  test("joinAsServer goes on where a crash ended it, at another port too", async () => {
    const directory = newDirectory();
    server.instead = (request) =>
      request.method === "POST"
        ? server.app
            .fetch(request, { address: "127.0.0.1", relayed: false })
            .then(() => Response.json({ half: "an answer" }))
        : undefined;
    expect(joinAsServer(options(directory))).rejects.toThrow("cannot be read");
    server.instead = undefined;
    const half = server.membership.list[1];
    expect(half?.role).toBe("learner");
    const withoutFlags = joinAsServer(options(directory, { join: undefined, token: undefined }));
    expect(withoutFlags).rejects.toThrow("run the same command again");
    const result = await joined(options(directory, { peer: { port: 2005 } }));
    expect(result.self.id).toBe(half?.id as MemberId);
    expect(server.membership.list).toHaveLength(2);
    expect(result.self.peerAddress).toBe("127.0.0.1:2005");
  });

  test("joinAsServer with an emptied disk takes the place of a broken join", async () => {
    const first = await joined(options(newDirectory()));
    server.keys.delete("two");
    const second = await joined(options(newDirectory()));
    expect(second.self.id).not.toBe(first.self.id);
    expect(server.membership.list.map(({ id }) => id)).toEqual([FOUNDER.id, second.self.id]);
  });

  test("joinAsServer with an emptied disk does not take the place of a voter", async () => {
    const first = await joined(options(newDirectory()));
    await server.membership.promote(first.self.id);
    const attempt = joinAsServer(options(newDirectory()));
    expect(attempt).rejects.toThrow(`kubun member remove ${first.self.id}`);
  });

  test("joinAsServer does not put out a learner that answers", async () => {
    await joined(options(newDirectory()));
    server.membership.list = server.membership.list.map((one) => ({ ...one, reachable: true }));
    expect(joinAsServer(options(newDirectory()))).rejects.toThrow("has the name two already");
  });

  test("joinAsServer refuses the directory of an agent", async () => {
    const directory = newDirectory();
    await joinAsAgent(options(directory));
    expect(joinAsServer(options(directory))).rejects.toThrow("belongs to an agent");
  });

  test("joinAsServer does not believe a certificate for another key", async () => {
    const wrong = await issueServerCertificate({ ca, names: ["x"], nowMs: Date.now() });
    server = startServer({
      issuer: {
        issueForMember: async () => wrong.certificate,
        issueForNode: async () => wrong.certificate,
      },
    });
    const directory = newDirectory();
    expect(joinAsServer(options(directory))).rejects.toThrow("not for this machine's key");
    expect(readJoinRecord(directory)?.phase).toBe("asking");
  });

  test("joinAsServer and the server log no token and no key", async () => {
    const lines: string[] = [];
    const result = await joined(options(newDirectory(), { logger: recordingLogger(lines) }));
    const text = [...lines, ...server.lines].join("\n");
    expect(text).toContain("abc123");
    for (const secret of [SECRET, "admin-token", result.nodeSecret, "PRIVATE KEY"]) {
      expect(text).not.toContain(secret);
    }
  });

  test("joinAsServer waits for a server that starts or has no leader", async () => {
    let leads = false;
    const membership = new FakeMembership();
    server = startServer({
      store: {
        get leadership() {
          const now = { term: 1 as never, leader: undefined, self: leads };
          leads = true;
          return now;
        },
        membership,
        barrier: () => Promise.resolve(7 as never),
        snapshot: () => Promise.resolve(),
      },
    });
    const result = await joined(options(newDirectory()));
    expect(server.asked.slice(1)).toEqual([
      "POST /kubun/v1/join/server 503",
      "POST /kubun/v1/join/server 200",
    ]);
    expect(membership.list[1]?.id).toBe(result.self.id);
  });
});

describe("joinAsAgent", () => {
  test("joinAsAgent brings a node's certificate, and none of the servers' keys", async () => {
    const directory = newDirectory();
    const result = await joinAsAgent(options(directory, { name: "worker" }));
    expect(result).toMatchObject({ name: "worker", ca: ca.certificate, settings: SETTINGS });
    expect(result.servers).toEqual([FOUNDER.apiAddress]);
    expect(server.keys.get("worker")).toBe(result.nodeSecret);
    expect(readFileSync(join(directory.tls, "join.json"), "utf8")).not.toContain("admin-token");
    await server.stop();
    expect(await joinAsAgent({ ...options(directory), token: undefined })).toEqual(result);
  });

  test("joinAsAgent cannot take the name of another machine while its Node exists", async () => {
    await joinAsAgent(options(newDirectory(), { name: "worker" }));
    server.nodes.add("worker");
    const replay = joinAsAgent(options(newDirectory(), { name: "worker" }));
    expect(replay).rejects.toThrow("kubectl delete node worker");
    server.nodes.delete("worker");
    expect((await joinAsAgent(options(newDirectory(), { name: "worker" }))).name).toBe("worker");
  });

  test("joinAsAgent whose certificate ended asks again as who it was", async () => {
    const directory = newDirectory();
    const first = await joinAsAgent(options(directory, { name: "worker" }));
    const clock = { ...systemClock, now: () => Date.now() + 366 * 24 * 60 * 60 * 1000 };
    const later = { ...options(directory, { name: "worker" }), clock };
    expect(joinAsAgent({ ...later, token: undefined })).rejects.toThrow(
      "was not renewed in time: start once with --join",
    );
    server.nodes.add("worker");
    const again = await joinAsAgent(later);
    expect(again.nodeSecret).toBe(first.nodeSecret);
    expect(readJoinRecord(directory)?.phase).toBe("joined");
  });

  test("joinAsServer of a witness whose certificate ended asks again as who it was", async () => {
    const directory = newDirectory();
    const { api: _api, ...rest } = options(directory, { witness: true, name: "third" });
    const first = await joined(rest);
    const clock = { ...systemClock, now: () => Date.now() + 366 * 24 * 60 * 60 * 1000 };
    expect(joined({ ...rest, join: undefined, clock })).rejects.toThrow("was not renewed in time");
    const again = await joined({ ...rest, clock });
    expect(again.self).toEqual(first.self);
    expect(server.membership.list).toHaveLength(2);
  });

  test("joinAsAgent cannot take the name of a server", async () => {
    const attempt = joinAsAgent(options(newDirectory(), { name: FOUNDER.name }));
    expect(attempt).rejects.toThrow("belongs to a server of the cluster");
  });

  test("joinAsAgent asks for --join at the first start", async () => {
    const attempt = joinAsAgent(options(newDirectory(), { join: undefined }));
    expect(attempt).rejects.toThrow("--join is missing");
  });
});
