import { expect, test } from "bun:test";
import { type Fetch, drainMicrotasks, silentLogger } from "../lib/index.ts";
import type { Leadership, Membership, MemberId, Revision, Store, Term } from "../registry/index.ts";
import { tokenAuthenticator } from "./authenticator.ts";
import {
  ABANDON_AFTER_MS,
  createForwarding,
  HOPELESS_WAIT_MS,
  LEADER_WAIT_MS,
  MAX_FORWARDED_BYTES,
} from "./forwarding.ts";
import { MAX_BODY_BYTES } from "./request-body.ts";
import { ADMIN_TOKEN, apiFixture, MAPS } from "./testing/api-fixture.ts";
import type { User } from "./user.ts";

const SERVER = { commonName: "kubun:member:2", organizations: ["kubun:servers"] };
const NODE = { commonName: "system:node:pi", organizations: ["system:nodes"] };
const EVA: User = {
  name: "eva, ädmin",
  uid: "7",
  groups: ["system:masters", "a,b"],
  extra: { "Example.com/Key": ["x, y", "z"] },
};
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/** Whom the group takes for its leader, as one of its servers sees it. */
class Group {
  leadership: Leadership;
  reached: Revision[] = [];
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  readonly membership = {
    self: 2 as MemberId,
    members: () => [
      { id: 1 as MemberId, role: "voter" },
      { id: 2 as MemberId, role: "learner" },
      { id: 3 as MemberId, role: "witness" },
    ],
  } as unknown as Membership;

  mode: Store["mode"] = "read-write";

  constructor(self: boolean, leader: number | undefined) {
    this.leadership = this.#of(self, leader, 1);
  }

  elect(self: boolean, leader: number | undefined, term = 2): void {
    this.leadership = this.#of(self, leader, term);
    for (const listener of this.#listeners) listener(this.leadership);
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #of(self: boolean, leader: number | undefined, term: number): Leadership {
    return { self, leader: leader as MemberId | undefined, term: term as Term };
  }
}

function storeOf(group: Group) {
  return {
    get leadership() {
      return group.leadership;
    },
    onLeadership: (listener: (leadership: Leadership) => void) => group.onLeadership(listener),
    membership: group.membership,
    get mode() {
      return group.mode;
    },
    reached(revision: Revision) {
      group.reached.push(revision);
      return Promise.resolve();
    },
  };
}

async function twoServers(peerOf?: (leader: Fetch) => Fetch | undefined) {
  const api = await apiFixture();
  const users = new Map<string, User>([["eva", EVA]]);
  users.set(ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] });
  const common = {
    app: api.app,
    authenticator: tokenAuthenticator(users),
    clock: api.clock,
    logger: silentLogger,
  };
  const leaderGroup = new Group(true, 1);
  const leader = createForwarding({
    ...common,
    store: storeOf(leaderGroup),
    peer: () => undefined,
  });
  const seen: Request[] = [];
  const toLeader: Fetch = (request) => {
    seen.push(request);
    return leader.peerFront(request, SERVER);
  };
  const group = new Group(false, 1);
  const peer = peerOf === undefined ? toLeader : peerOf(toLeader);
  const follower = createForwarding({
    ...common,
    store: storeOf(group),
    peer: (member) => (member === 1 ? peer : undefined),
  });
  const ask = (method: string, path: string, body?: unknown, token = ADMIN_TOKEN) =>
    follower.front(
      new Request(`http://x${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  return { ...api, leader, leaderGroup, follower, group, seen, ask };
}

const map = (name: string) => ({ metadata: { name } });

test("createForwarding: a follower reads here and writes at the leader", async () => {
  const { ask, seen, group, store } = await twoServers();
  expect((await ask("GET", MAPS)).status).toBe(200);
  expect(seen).toHaveLength(0);
  const created = await ask("POST", MAPS, map("a"));
  expect(created.status).toBe(201);
  expect(seen).toHaveLength(1);
  expect(seen[0]?.headers.has("authorization")).toBe(false);
  expect(group.reached).toEqual([store.revision]);
  expect(created.headers.get("x-kubun-revision")).toBe(String(store.revision));
  expect((await ask("PUT", `${MAPS}/a`, { ...map("a"), data: { k: "v" } })).status).toBe(200);
  expect((await ask("DELETE", `${MAPS}/a`)).status).toBe(200);
  expect(seen).toHaveLength(3);
});

test("createForwarding: heartbeats are read where they are remembered, watches here", async () => {
  const { ask, seen } = await twoServers();
  await ask("GET", `${LEASE}/pi`);
  await ask("GET", LEASE);
  await ask("GET", "/apis/coordination.k8s.io/v1/leases");
  expect(seen).toHaveLength(3);
  const watch = await ask("GET", `${LEASE}?watch=true`);
  await watch.body?.cancel();
  await ask("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases");
  expect(seen).toHaveLength(3);
});

test("createForwarding: questions and streams are answered here", async () => {
  const { ask, seen } = await twoServers();
  const review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  expect((await ask("POST", review, {})).status).toBe(201);
  await ask("POST", "/api/v1/namespaces/default/pods/p/exec");
  expect(seen).toHaveLength(0);
});

test("createForwarding: the leader learns who it is, whatever the name holds", async () => {
  const { ask } = await twoServers();
  const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  expect((await ask("POST", path, {}, "nobody")).status).toBe(401);
  expect((await ask("POST", MAPS, map("b"), "eva")).status).toBe(201);
  expect((await ask("POST", MAPS, map("c"), "nobody")).status).toBe(401);
});

test("createForwarding: strangers are refused here, and wait for no leader", async () => {
  const { follower, group, seen } = await twoServers();
  group.elect(false, undefined);
  const stranger = new Request(`http://x${MAPS}`, { method: "POST", body: "{}" });
  const refused = await follower.front(stranger);
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain("system:anonymous");
  expect(seen).toHaveLength(0);
});

test("peerFront: takes users from servers of the group alone", async () => {
  const { leader, leaderGroup, app } = await twoServers();
  const request = () =>
    new Request("http://peer/apis/authentication.k8s.io/v1/selfsubjectreviews", {
      method: "POST",
      body: "{}",
      headers: { "x-remote-user": "eva", "x-remote-group": "system:masters" },
    });
  expect(await (await leader.peerFront(request(), SERVER)).json()).toMatchObject({
    status: { userInfo: { username: "eva", groups: ["system:masters"] } },
  });
  expect((await leader.peerFront(request(), NODE)).status).toBe(403);
  const removed = { commonName: "kubun:member:9", organizations: ["kubun:servers"] };
  expect((await leader.peerFront(request(), removed)).status).toBe(403);
  const witness = { commonName: "kubun:member:3", organizations: ["kubun:servers"] };
  expect((await leader.peerFront(request(), witness)).status).toBe(403);
  const impostor = { commonName: "kubun:member:2", organizations: ["system:nodes"] };
  expect((await leader.peerFront(request(), impostor)).status).toBe(403);
  // Clients that bring such headers are nobody.
  expect((await app.request(request())).status).toBe(403);
  const nameless = new Request(`http://peer${MAPS}`, { method: "POST", body: "{}" });
  expect((await leader.peerFront(nameless, SERVER)).status).toBe(401);
  leaderGroup.elect(false, 2);
  const refused = await leader.peerFront(request(), SERVER);
  expect([refused.status, refused.headers.get("x-kubun-not-leader")]).toEqual([503, "true"]);
});

test("createForwarding: what clients say in the servers' names is not passed on", async () => {
  const { follower, seen } = await twoServers();
  const headers = {
    authorization: `Bearer ${ADMIN_TOKEN}`,
    "content-type": "application/json",
    "x-remote-user": "mallory",
    "x-remote-extra-scope": "all",
    "x-kubun-revision": "1",
    "impersonate-user": "bob",
  };
  const body = JSON.stringify(map("a"));
  const request = new Request(`http://x${MAPS}`, { method: "POST", headers, body });
  expect((await follower.front(request)).status).toBe(403);
  const sent = seen[0]?.headers;
  expect(sent?.get("x-remote-user")).toBe("admin");
  expect(sent?.get("impersonate-user")).toBe("bob");
  expect([sent?.has("x-remote-extra-scope"), sent?.has("x-kubun-revision")]).toEqual([
    false,
    false,
  ]);
});

test("createForwarding: without a leader a write waits for one, and then gives up", async () => {
  const { ask, group, clock, seen } = await twoServers();
  group.elect(false, undefined);
  const waiting = ask("POST", MAPS, map("a"));
  await drainMicrotasks();
  expect(seen).toHaveLength(0);
  group.elect(false, 1, 3);
  expect((await waiting).status).toBe(201);
  group.elect(false, undefined, 4);
  const hopeless = ask("POST", MAPS, map("b"));
  await drainMicrotasks();
  clock.advance(LEADER_WAIT_MS);
  const refused = await hopeless;
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  const next = ask("POST", MAPS, map("b"));
  await drainMicrotasks();
  clock.advance(HOPELESS_WAIT_MS);
  expect((await next).status).toBe(503);
  group.elect(false, 1, 5);
  expect((await ask("POST", MAPS, map("b"))).status).toBe(201);
});

test("createForwarding: a server that was elected meanwhile does it itself", async () => {
  const { ask, group, seen } = await twoServers();
  group.elect(false, undefined);
  const waiting = ask("POST", MAPS, map("a"), "eva");
  await drainMicrotasks();
  group.elect(true, 2, 3);
  expect((await waiting).status).toBe(201);
  expect(seen).toHaveLength(0);
});

test("createForwarding: a server that is about to lead does not ask itself", async () => {
  const { ask, group, clock, seen } = await twoServers();
  group.elect(false, 2, 3);
  const waiting = ask("POST", MAPS, map("a"));
  await drainMicrotasks();
  clock.advance(1_000);
  group.elect(true, 2, 3);
  expect((await waiting).status).toBe(201);
  expect(seen).toHaveLength(0);
});

test("createForwarding: sends again what was not delivered, and nothing else", async () => {
  const failures: (Error & { delivered?: boolean })[] = [];
  let sent = 0;
  const { ask, clock } = await twoServers((leader) => (request) => {
    sent++;
    const failure = failures.shift();
    return failure === undefined ? leader(request) : Promise.reject(failure);
  });
  failures.push(Object.assign(new Error("refused"), { delivered: false }));
  const again = ask("POST", MAPS, map("a"));
  await drainMicrotasks();
  clock.advance(50);
  expect((await again).status).toBe(201);
  expect(sent).toBe(2);
  failures.push(Object.assign(new Error("reset"), { delivered: true }));
  const unknown = await ask("POST", MAPS, map("b"));
  expect([unknown.status, sent]).toEqual([504, 3]);
  expect(await unknown.json()).toMatchObject({ reason: "Timeout" });
  failures.push(Object.assign(new Error("reset"), { delivered: true }));
  const read = ask("GET", `${LEASE}/pi`);
  await drainMicrotasks();
  clock.advance(50);
  expect((await read).status).toBe(404);
});

test("createForwarding: a leader that is none any more and silent is given up", async () => {
  const silent: Fetch = () => new Promise(() => undefined);
  const { ask, group, clock } = await twoServers(() => silent);
  const waiting = ask("POST", MAPS, map("a"));
  await drainMicrotasks();
  group.elect(false, 3, 5);
  clock.advance(ABANDON_AFTER_MS);
  expect((await waiting).status).toBe(504);
});

test("createForwarding: bounds what is forwarded in number and size", async () => {
  const api = await apiFixture();
  const group = new Group(false, undefined);
  const { front } = createForwarding({
    store: storeOf(group),
    app: api.app,
    authenticator: tokenAuthenticator(new Map([["t", EVA]])),
    peer: () => undefined,
    clock: api.clock,
    logger: silentLogger,
    maxForwarded: 1,
  });
  const post = (size: number) =>
    front(
      new Request(`http://x${MAPS}`, {
        method: "POST",
        headers: { authorization: "Bearer t" },
        body: "x".repeat(size),
      }),
    );
  expect((await post(MAX_BODY_BYTES + 1)).status).toBe(413);
  const first = post(1);
  await drainMicrotasks();
  expect((await post(1)).status).toBe(429);
  group.mode = "read-only";
  api.clock.advance(LEADER_WAIT_MS);
  const answer = await first;
  expect(answer.status).toBe(503);
  expect(await answer.text()).toContain("no server leads the cluster now, and this one's disk");
});

test("createForwarding: bounds what bodies take while they wait", async () => {
  const { group, ask, clock } = await twoServers();
  group.elect(false, undefined);
  const data = { big: "x".repeat(MAX_BODY_BYTES - 1_000) };
  const count = Math.floor(MAX_FORWARDED_BYTES / MAX_BODY_BYTES);
  const waiting = Array.from({ length: count }, () => ask("POST", MAPS, { ...map("a"), data }));
  await drainMicrotasks();
  expect((await ask("POST", MAPS, { ...map("a"), data })).status).toBe(429);
  clock.advance(LEADER_WAIT_MS);
  const answers = await Promise.all(waiting);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
});

test("termFetch: serves one term of this server, and no other", async () => {
  const { leader, leaderGroup } = await twoServers();
  const inTerm = leader.termFetch(1 as Term);
  const list = () =>
    inTerm(new Request(`http://x${MAPS}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } }));
  expect((await list()).status).toBe(200);
  leaderGroup.elect(true, 1, 2);
  expect((await list()).status).toBe(503);
  leaderGroup.elect(false, 2, 2);
  expect((await list()).status).toBe(503);
});

test("createForwarding: values are read here and written by the leader", async () => {
  const { ask, seen } = await twoServers();
  const store = "/apis/kubun.dev/v1/namespaces/default/keyvaluestores/s";
  const add = await ask("POST", `${store}/increment?key=n&delta=3`);
  expect([add.status, await add.json()]).toMatchObject([200, { value: "3" }]);
  expect((await ask("PUT", `${store}/values?key=n&resourceVersion=1`, "x")).status).toBe(409);
  expect(seen.map(({ method }) => method)).toEqual(["POST", "PUT"]);
  expect(await (await ask("GET", `${store}/values?key=n`)).text()).toBe("3");
  const read = await ask("POST", `${store}/read`, { keys: ["n"] });
  expect(await read.json()).toMatchObject({ items: [{ key: "n", value: btoa("3") }] });
  expect(seen).toHaveLength(2);
});
