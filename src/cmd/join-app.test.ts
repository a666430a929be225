import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Status } from "../apimachinery/index.ts";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { MembershipError, StoreError } from "../store/index.ts";
import type { Leadership, MemberId } from "../store/index.ts";
import { createClusterApp } from "./join-app.ts";
import type { ClusterApp, ClusterAppOptions } from "./join-app.ts";
import {
  JOIN_PROTOCOL,
  joinServerAnswerSchema,
  MAX_JOIN_BODY_BYTES,
  memberListSchema,
} from "./join-wire.ts";
import { FakeMembership, FOUNDER } from "./testing/fake-membership.ts";
import { SNAPSHOT_BYTES_HEADER } from "./snapshot-stream.ts";

const CA = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
const directory = mkdtempSync(join(tmpdir(), "kubun-join-app-"));
const LEADS: Leadership = { term: 3 as never, leader: FOUNDER.id, self: true };
const FOLLOWS: Leadership = { ...LEADS, leader: 5 as MemberId, self: false };

let membership: FakeMembership;
let clock: ManualClock;
let claims: string[];
let forgotten: string[];

function createApp(
  override: Partial<ClusterAppOptions> = {},
  leadership: Leadership = LEADS,
): ClusterApp {
  return createClusterApp({
    store: {
      leadership,
      membership,
      barrier: () => Promise.resolve(7 as never),
      snapshot: async (path) => writeFileSync(path, Buffer.alloc(700_000, "s")),
    },
    ca: { certificate: CA, privateKey: "-----BEGIN PRIVATE KEY-----" },
    adminToken: "admin",
    settings: {
      clusterCidr: "127.42.0.0/16",
      serviceCidr: "127.43.0.0/16",
      serviceNodePortRange: { from: 30_000, to: 32_767 },
    },
    tokens: {
      verify: async (bearer) =>
        bearer === "abc123.good" ? { type: "valid", id: "abc123" } : { type: "unknown" },
    },
    credentials: {
      async claim(name) {
        claims.push(name);
        return "claimed";
      },
      holds: () => Promise.resolve(true),
      async forget(name) {
        forgotten.push(name);
      },
    },
    issuer: {
      issueForMember: async () => "-----BEGIN CERTIFICATE-----",
      issueForNode: async () => "-----BEGIN CERTIFICATE-----",
    },
    authenticate: (request) => {
      const bearer = request.headers.get("authorization");
      if (bearer === "Bearer admin") return { name: "admin", groups: ["system:masters"] };
      if (bearer === "Bearer node") return { name: "system:node:one", groups: ["system:nodes"] };
      return undefined;
    },
    peer: () => undefined,
    snapshotDirectory: directory,
    clock,
    random: new SeededRandom(1),
    logger: silentLogger,
    ...override,
  });
}

function send(
  app: ClusterApp,
  method: string,
  path: string,
  options: { token?: string; body?: unknown; address?: string } = {},
): Promise<Response> {
  const { token, body, address = "192.0.2.1" } = options;
  const request = new Request(`https://server${path}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return app.fetch(request, { address, relayed: false });
}

async function refused(answer: Promise<Response>): Promise<Status> {
  const response = await answer;
  const status = (await response.json()) as Status;
  expect(status).toMatchObject({ kind: "Status", status: "Failure", code: response.status });
  return status;
}

const AGENT = {
  protocol: JOIN_PROTOCOL,
  name: "worker",
  certificateRequest: "-----BEGIN CERTIFICATE REQUEST-----",
  nodeSecret: "ab".repeat(32),
  peer: { port: 10_250 },
};
const SERVER = { ...AGENT, memberId: 9, witness: false, api: { port: 6443 }, settings: {} };

beforeEach(() => {
  membership = new FakeMembership();
  clock = new ManualClock();
  [claims, forgotten] = [[], []];
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("createClusterApp", () => {
  test("createClusterApp: a node name that cannot work is refused with its flag", async () => {
    for (const name of ["n".repeat(64), "a..b", "a.-b", "Node"]) {
      const body = { ...AGENT, name };
      const path = "/kubun/v1/join/agent";
      const status = await refused(send(createApp(), "POST", path, { token: "abc123.good", body }));
      expect(status.code).toBe(400);
      expect(status.message).toContain(`--node-name "${name}" is not allowed: give a name`);
    }
    expect(claims).toEqual([]);
  });

  test("createClusterApp: nodes are told of the servers that issue certificates", async () => {
    await membership.add({ ...FOUNDER, id: 4 as MemberId, role: "witness" });
    const app = createApp();
    const path = "/kubun/v1/issuers";
    const answer = await send(app, "GET", path, { token: "node" });
    expect(await answer.json()).toEqual({ servers: [{ id: 1, address: FOUNDER.peerAddress }] });
    expect((await refused(send(app, "GET", path))).code).toBe(401);
  });

  test("createClusterApp: anybody may read the authority's certificate, no more", async () => {
    const app = createApp();
    expect(await (await send(app, "GET", "/cacerts")).text()).toBe(CA);
    expect(app.serves("/cacerts")).toBe(true);
    expect(app.serves("/kubun/v1/members")).toBe(true);
    expect(app.serves("/kubun/v1")).toBe(false);
    for (const path of ["/kubun/v1/members", "/kubun/v1/snapshot"]) {
      expect((await refused(send(app, "GET", path))).code).toBe(401);
      expect((await refused(send(app, "GET", path, { token: "node" }))).code).toBe(403);
    }
    expect((await refused(send(app, "DELETE", "/kubun/v1/members/one"))).code).toBe(401);
    expect((await refused(send(app, "POST", "/kubun/v1/members/one/promote"))).code).toBe(401);
    expect((await refused(send(app, "GET", "/kubun/v1/other"))).code).toBe(404);
  });

  test("createClusterApp: an address that tries too often is told when to come again", async () => {
    const app = createApp({ limits: { perAddress: { burst: 2, refillMs: 3000 } } });
    const guess = (address: string): Promise<Response> =>
      send(app, "POST", "/kubun/v1/join/agent", { token: "wrong", body: AGENT, address });
    expect((await guess("192.0.2.1")).status).toBe(401);
    expect((await guess("::ffff:192.0.2.1")).status).toBe(401);
    const third = await guess("192.0.2.1");
    expect(third.status).toBe(429);
    expect(third.headers.get("retry-after")).toBe("3");
    expect((await guess("192.0.2.2")).status).toBe(401);
    clock.advance(3000);
    expect((await guess("192.0.2.1")).status).toBe(401);
  });

  test("createClusterApp: all addresses together are bounded too", async () => {
    const app = createApp({ limits: { overall: { burst: 3, refillMs: 1000 } } });
    const statuses: number[] = [];
    for (let last = 1; last <= 4; last++) {
      const options = { token: "wrong", body: AGENT, address: `192.0.2.${last}` };
      statuses.push((await send(app, "POST", "/kubun/v1/join/agent", options)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 429]);
  });

  test("createClusterApp: what is no request to join is refused with words", async () => {
    const app = createApp({ limits: { perAddress: { burst: 100, refillMs: 1 } } });
    const cases: [unknown, number, string][] = [
      ["{", 400, "not JSON"],
      [{ ...AGENT, protocol: 2 }, 400, "version 1 of the join protocol"],
      [{ ...AGENT, name: "Worker" }, 400, "name"],
      [{ ...AGENT, name: "../x" }, 400, "name"],
      [{ ...AGENT, nodeSecret: "short" }, 400, "nodeSecret"],
      [{ ...AGENT, peer: { port: 0 } }, 400, "peer.port"],
      [{ ...AGENT, peer: { host: "a b", port: 1 } }, 400, "peer.host"],
      ["x".repeat(MAX_JOIN_BODY_BYTES + 1), 413, "larger than"],
    ];
    for (const [body, code, message] of cases) {
      const options = { token: "abc123.good", body };
      const status = await refused(send(app, "POST", "/kubun/v1/join/agent", options));
      expect({ body, code: status.code }).toEqual({ body, code });
      expect(status.message).toContain(message);
    }
    expect(claims).toEqual([]);
  });

  test("createClusterApp: a follower passes a request on with where it came from", async () => {
    const leader = createApp();
    const asked: MemberId[] = [];
    const peer: ClusterAppOptions["peer"] = (id) => (request) => {
      asked.push(id);
      return leader.fetchFromServer(request);
    };
    const app = createApp({ peer }, FOLLOWS);
    const options = { token: "abc123.good", body: SERVER, address: "192.0.2.77" };
    const response = await send(app, "POST", "/kubun/v1/join/server", options);
    expect(response.status).toBe(200);
    expect(asked).toEqual([5 as MemberId]);
    expect(membership.list[1]).toMatchObject({
      id: 9 as MemberId,
      peerAddress: "192.0.2.77:10250",
      apiAddress: "https://192.0.2.77:6443",
    });
  });

  test("createClusterApp: a server that nobody lists yet is told of itself", async () => {
    membership.add = () => Promise.resolve();
    const options = { token: "abc123.good", body: SERVER };
    const response = await send(createApp(), "POST", "/kubun/v1/join/server", options);
    const { self, members } = joinServerAnswerSchema.parse(await response.json());
    expect(members.map(({ id }) => id)).toEqual([FOUNDER.id, self.id]);
  });

  test("createClusterApp: a request is passed on once, whatever a client says", async () => {
    const follower = createApp({}, FOLLOWS);
    const passes: Request[] = [];
    const peer: ClusterAppOptions["peer"] = () => (request) => {
      passes.push(request);
      return follower.fetchFromServer(request);
    };
    const app = createApp({ peer }, FOLLOWS);
    const path = "https://server/kubun/v1/join/server";
    const headers = { authorization: "Bearer abc123.good", "x-kubun-remote-address": "10.9.9.9" };
    const request = new Request(path, { method: "POST", headers, body: JSON.stringify(SERVER) });
    const status = await refused(app.fetch(request, { address: "192.0.2.1", relayed: false }));
    expect(status).toMatchObject({ code: 503, details: { retryAfterSeconds: 1 } });
    expect(passes.map((one) => one.headers.get("x-kubun-remote-address"))).toEqual(["192.0.2.1"]);
  });

  test("createClusterApp: a leader that does not answer leaves a change unknown", async () => {
    const peer: ClusterAppOptions["peer"] = () => () => Promise.reject(new Error("cut"));
    const app = createApp({ peer }, FOLLOWS);
    const token = "admin";
    expect((await refused(send(app, "DELETE", "/kubun/v1/members/one", { token }))).code).toBe(504);
    const options = { token: "abc123.good", body: SERVER };
    const joining = await refused(send(app, "POST", "/kubun/v1/join/server", options));
    expect(joining.code).toBe(503);
    const noLeader = createApp({}, { ...FOLLOWS, leader: undefined });
    const removal = send(noLeader, "DELETE", "/kubun/v1/members/one", { token });
    expect((await refused(removal)).code).toBe(503);
    expect((await send(noLeader, "GET", "/kubun/v1/members", { token })).status).toBe(200);
  });

  test("createClusterApp: administrators list, promote and remove members", async () => {
    const app = createApp();
    const [token, body] = ["admin", SERVER];
    await send(app, "POST", "/kubun/v1/join/server", { token: "abc123.good", body });
    const list = async (): Promise<string[]> => {
      const response = await send(app, "GET", "/kubun/v1/members", { token });
      const { members } = memberListSchema.parse(await response.json());
      return members.map((member) => `${member.id} ${member.name} ${member.role}`);
    };
    expect(await list()).toEqual(["1 one voter", "9 worker learner"]);
    await send(app, "POST", "/kubun/v1/members/worker/promote", { token });
    expect(await list()).toEqual(["1 one voter", "9 worker voter"]);
    expect((await send(app, "DELETE", "/kubun/v1/members/9", { token })).status).toBe(200);
    expect(await list()).toEqual(["1 one voter"]);
    expect(forgotten).toEqual(["worker"]);
    const missing = await refused(send(app, "DELETE", "/kubun/v1/members/worker", { token }));
    expect(missing).toMatchObject({ code: 404 });
    expect(missing.message).toContain("the members are one (1)");
    const last = await refused(send(app, "DELETE", "/kubun/v1/members/one", { token }));
    expect(last).toMatchObject({ code: 409 });
  });

  test("createClusterApp: a leader that removes itself ends its key before", async () => {
    const app = createApp();
    const [token, body] = ["admin", SERVER];
    await send(app, "POST", "/kubun/v1/join/server", { token: "abc123.good", body });
    await send(app, "POST", "/kubun/v1/members/worker/promote", { token });
    const remove = membership.remove.bind(membership);
    let before: readonly string[] = [];
    membership.remove = async (id) => {
      before = [...forgotten];
      await remove(id);
    };
    expect((await send(app, "DELETE", "/kubun/v1/members/one", { token })).status).toBe(200);
    expect(before).toEqual(["one"]);
  });

  test("createClusterApp: a removal that is refused leaves the other server its key", async () => {
    const app = createApp();
    const [token, body] = ["admin", SERVER];
    await send(app, "POST", "/kubun/v1/join/server", { token: "abc123.good", body });
    membership.remove = () => Promise.reject(new MembershipError("not now"));
    const refusal = await refused(send(app, "DELETE", "/kubun/v1/members/worker", { token }));
    expect(refusal.code).toBe(409);
    expect(forgotten).toEqual([]);
  });

  test("createClusterApp: a server that moved is known by its new address", async () => {
    const app = createApp();
    const body = { peerAddress: "127.0.0.1:7001", apiAddress: "https://127.0.0.1:7002" };
    const path = "/kubun/v1/members/1/address";
    expect((await refused(send(app, "POST", path, { body }))).code).toBe(401);
    expect((await send(app, "POST", path, { token: "admin", body })).status).toBe(200);
    expect(membership.members()).toEqual([{ ...FOUNDER, ...body }]);
    const wrong = [
      { ...body, peerAddress: "127.0.0.1" },
      { ...body, peerAddress: "https://127.0.0.1:7001" },
      { ...body, apiAddress: "https://" },
      { ...body, apiAddress: "https://user@127.0.0.1:7002/path" },
    ];
    for (const address of wrong) {
      const answer = refused(send(app, "POST", path, { token: "admin", body: address }));
      expect((await answer).code).toBe(400);
    }
    expect(membership.members()).toEqual([{ ...FOUNDER, ...body }]);
  });

  test("createClusterApp: what the store refuses is an answer", async () => {
    const cases: [Error, number][] = [
      [new StoreError("not-leader", "another leads"), 503],
      [new StoreError("unavailable", "no quorum"), 504],
      [new MembershipError("it lags"), 409],
      [new Error("a defect with /secret/paths"), 500],
    ];
    for (const [error, code] of cases) {
      membership = new FakeMembership();
      membership.list.push({ ...FOUNDER, id: 2 as MemberId, name: "two", leader: false });
      membership.failAfter = error;
      const answer = send(createApp(), "DELETE", "/kubun/v1/members/1", { token: "admin" });
      const status = await refused(answer);
      expect(status.code).toBe(code);
      expect(status.message).not.toContain("/secret");
    }
  });

  test("createClusterApp: a snapshot is sent whole, alone, and leaves no file", async () => {
    const app = createApp();
    const token = "admin";
    const response = await send(app, "GET", "/kubun/v1/snapshot", { token });
    expect(response.headers.get(SNAPSHOT_BYTES_HEADER)).toBe("700000");
    const second = await send(app, "GET", "/kubun/v1/snapshot", { token });
    expect(second.status).toBe(429);
    expect(readdirSync(directory)).toEqual([]);
    expect((await response.bytes()).byteLength).toBe(700_000);
    const third = await send(app, "GET", "/kubun/v1/snapshot", { token });
    await third.body?.cancel();
    const fourth = await send(app, "GET", "/kubun/v1/snapshot", { token });
    expect((await fourth.bytes()).byteLength).toBe(700_000);
  });
});
