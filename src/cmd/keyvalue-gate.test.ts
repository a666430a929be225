import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tokenAuthenticator } from "../apiserver/authenticator.ts";
import { ADMIN_TOKEN, apiFixture, type ApiFixture } from "../apiserver/testing/api-fixture.ts";
import { NODES, nodeUserName } from "../apiserver/user.ts";
import { createClient } from "../client/index.ts";
import { silentLogger } from "../lib/index.ts";
import { systemClock } from "../os/index.ts";
import type { KeyvalueCall, KeyvalueGate } from "../runtime/index.ts";
import { SystemHostClock } from "../runtime/wasi/host/host-clock.ts";
import { KeyvalueClient } from "../runtime/wasi/preview2/keyvalue/keyvalue-client.ts";
import { keyvalueThrough, MAX_NODE_CALLS } from "./keyvalue-gate.ts";

const NODE_TOKEN = "pi";
let directory: string;
let api: ApiFixture;
let open: KeyvalueGate["open"];
let close: () => void;
let worker: KeyvalueClient;
/** Requests to the API at once: now, and at most. */
let underWay = 0;
let most = 0;
/** What it answers first. */
let busy: Response[];

beforeEach(async () => {
  [underWay, most, busy] = [0, 0, []];
  directory = mkdtempSync(join(tmpdir(), "kubun-gate-"));
  const users = new Map([
    [ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] }],
    [NODE_TOKEN, { name: nodeUserName("pi"), groups: [NODES] }],
  ]);
  api = await apiFixture({ authenticator: tokenAuthenticator(users) });
  await api.send("POST", "/api/v1/nodes", { metadata: { name: "pi" } });
  await api.send("POST", "/api/v1/namespaces/default/pods", {
    metadata: { name: "p", annotations: { "kubun.dev/keyvalue-stores": "s" } },
    spec: { nodeName: "pi", containers: [{ name: "c", image: "i" }] },
  });
  const fetch = async (request: Request): Promise<Response> => {
    most = Math.max(most, ++underWay);
    const response = busy.shift() ?? (await api.app.fetch(request));
    underWay--;
    return response;
  };
  const client = createClient({ fetch, token: NODE_TOKEN, userAgent: "test" });
  ({ open } = keyvalueThrough({ client, clock: systemClock, logger: silentLogger }));
  const path = join(directory, "keyvalue");
  // The worker was told of a store that the pod does not name any more.
  const stores = ["s", "former"];
  ({ close } = open({ path, pod: { namespace: "default", name: "p" }, stores }));
  worker = new KeyvalueClient(path, new SystemHostClock());
});

afterEach(() => {
  worker.close();
  close();
  rmSync(directory, { recursive: true, force: true });
});

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test("keyvalueThrough: each call is one of the API", async () => {
  const key = "a/ü?&=%20";
  const at = { store: "s", key } as const;
  const ask = (call: KeyvalueCall) => worker.call(call);
  expect(await ask({ op: "get", ...at })).toEqual({ type: "absent" });
  expect(await ask({ op: "exists", ...at })).toEqual({ type: "absent" });
  const set = await ask({ op: "set", ...at, value: bytes("1\0\xff") });
  expect(set).toMatchObject({ type: "done" });
  const { revision } = set as { revision: number };
  expect(await ask({ op: "get", ...at })).toEqual({
    type: "value",
    value: bytes("1\0\xff"),
    revision,
  });
  expect(await ask({ op: "exists", ...at })).toEqual({ type: "exists" });
  const swap = { op: "set", ...at, value: bytes("2"), expected: 0 } as const;
  expect(await ask(swap)).toMatchObject({ type: "refused", why: "conflict" });
  expect(await ask({ ...swap, expected: revision })).toMatchObject({ type: "done" });
  expect(await ask({ op: "increment", ...at, delta: "-5" })).toEqual({
    type: "number",
    number: "-3",
  });
  expect(await ask({ op: "keys", store: "s" })).toEqual({ type: "keys", keys: [key] });
  expect(await ask({ op: "delete", ...at })).toMatchObject({ type: "done" });
  expect(await ask({ op: "delete", ...at })).toEqual({ type: "absent" });
});

test("keyvalueThrough: refusals are told apart", async () => {
  const set = (store: string, size: number) =>
    worker.call({ op: "set", store, key: "a", value: new Uint8Array(size) });
  expect(await set("former", 1)).toMatchObject({ type: "refused", why: "denied" });
  expect(await set("others", 1)).toMatchObject({ type: "refused", why: "denied" });
  await api.send(
    "PATCH",
    "/api/v1/namespaces/default",
    { metadata: { annotations: { "kubun.dev/keyvalue-quota": "10" } } },
    { "content-type": "application/merge-patch+json" },
  );
  expect(await set("s", 10)).toEqual({
    type: "refused",
    why: "other",
    message: expect.stringMatching(/^quota exceeded: namespace default has 0 keys and 0 bytes/),
  });
  const text = await worker.call({ op: "set", store: "s", key: "a", value: bytes("text") });
  expect(text).toMatchObject({ type: "done" });
  expect(await worker.call({ op: "increment", store: "s", key: "a", delta: "1" })).toEqual({
    type: "refused",
    why: "other",
    message: 'the value of "a" is no decimal number of 64 bits',
  });
});

test("keyvalueThrough: keys come page by page", async () => {
  const set = Array.from({ length: 250 }, (_, index) => ({ key: `${index}`, value: "" }));
  const path = "/apis/kubun.dev/v1/namespaces/default/keyvaluestores/s";
  for (let part = 0; part < 5; part++) {
    const some = set.map(({ key, value }) => ({ key: `${part}/${key}`, value }));
    expect((await api.send("POST", `${path}/batch`, { set: some })).status).toBe(200);
  }
  const first = await worker.call({ op: "keys", store: "s" });
  if (first.type !== "keys" || first.cursor === undefined) throw new Error("one page only");
  expect(first.keys).toHaveLength(1000);
  const rest = await worker.call({ op: "keys", store: "s", cursor: first.cursor });
  expect(rest.type === "keys" ? rest.keys.length : rest).toBe(250);
});

test("keyvalueThrough: the API is asked so much at once by all pods of a node", async () => {
  const others = Array.from({ length: 5 }, (_, index) => {
    const path = join(directory, `keyvalue-${index}`);
    const gate = open({ path, pod: { namespace: "default", name: "p" }, stores: ["s"] });
    return { gate, worker: new KeyvalueClient(path, new SystemHostClock()) };
  });
  const asked = others.flatMap(({ worker: one }) =>
    Array.from({ length: 100 }, (_, index) => {
      return one.call({ op: "increment", store: "s", key: `${index}`, delta: "1" });
    }),
  );
  expect((await Promise.all(asked)).every(({ type }) => type === "number")).toBe(true);
  expect(most).toBeLessThanOrEqual(MAX_NODE_CALLS);
  for (const other of others) {
    other.worker.close();
    other.gate.close();
  }
  expect(await worker.call({ op: "get", store: "s", key: "0" })).toMatchObject({
    value: bytes("5"),
  });
});

test("keyvalueThrough: what the API had no room for is asked again", async () => {
  const full = () =>
    new Response("Too many requests", { status: 429, headers: { "retry-after": "0" } });
  busy = [full(), full()];
  const call = { op: "increment", store: "s", key: "n", delta: "1" } as const;
  expect(await worker.call(call)).toEqual({ type: "number", number: "1" });
  busy = [full(), full(), full(), full()];
  expect(await worker.call(call)).toMatchObject({ type: "refused", why: "other" });
});
