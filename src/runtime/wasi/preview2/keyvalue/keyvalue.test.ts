import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { NO_GRANTS } from "../../component/pod-grants.ts";
import { MAX_CALLS_UNDER_WAY } from "../../component/keyvalue-protocol.ts";
import { TranslatedComponents } from "../../component/testing/translated.ts";
import { ComponentCode } from "../../worker/component-code.ts";
import { contentOf } from "../testing/bodies.ts";
import { type HostFixture, imported, openHost } from "../testing/host-fixture.ts";
import { type KeyvalueServer, serveKeyvalue } from "../testing/serve-keyvalue.ts";
import { KeyvalueClient } from "./keyvalue-client.ts";
import { type Bucket, MAX_BATCH_KEYS } from "./keyvalue-interfaces.ts";
import { SystemHostClock } from "../../host/host-clock.ts";
import { eventually } from "../../../../lib/testing/eventually.ts";

const COUNTER = join(
  import.meta.dir,
  "../../../../../workloads/counter-keyvalue/counter-keyvalue.wasm",
);
const translated = new TranslatedComponents();
afterAll(() => translated.remove());

interface Cas {
  current(): Uint8Array | undefined;
}

function hostOf(server: KeyvalueServer): HostFixture {
  const grants = { ...NO_GRANTS, keyvalueStores: ["counters", "default"] };
  return openHost({ grants, keyvaluePath: server.path });
}

/** The functions as generated code takes them. */
function functionsOf({ instance }: HostFixture, version = "") {
  const store = `wasi:keyvalue/store${version}`;
  const of = <Shape>(path: string, name: string): Shape => imported<Shape>(instance, path, name);
  const atomics = "wasi:keyvalue/atomics";
  const batch = "wasi:keyvalue/batch";
  return {
    open: of<(name: string) => Bucket>(store, "open"),
    increment: of<(bucket: Bucket, key: string, delta: bigint) => Promise<bigint>>(
      atomics,
      "increment",
    ),
    Cas: of<{ readonly new: (bucket: Bucket, key: string) => Promise<Cas> }>(atomics, "Cas"),
    swap: of<(cas: Cas, value: Uint8Array) => Promise<void>>(atomics, "swap"),
    getMany: of<(bucket: Bucket, keys: string[]) => Promise<unknown[]>>(batch, "getMany"),
    setMany: of<(bucket: Bucket, pairs: [string, Uint8Array][]) => Promise<void>>(batch, "setMany"),
    deleteMany: of<(bucket: Bucket, keys: string[]) => Promise<void>>(batch, "deleteMany"),
  };
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

function payloadOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return (error as { payload: unknown }).payload;
  }
  return undefined;
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return (error as { payload?: unknown } | undefined)?.payload;
}

describe("keyvalueInterfaces", () => {
  test("keyvalueInterfaces: keys are set, read, found, listed and deleted", async () => {
    using server = serveKeyvalue(["counters", "default"]);
    using host = hostOf(server);
    const { open } = functionsOf(host);
    const bucket = open("counters");
    expect(await bucket.get("a")).toBeUndefined();
    await bucket.set("a", bytes("1"));
    expect(await bucket.get("a")).toEqual(bytes("1"));
    expect([await bucket.exists("a"), await bucket.exists("b")]).toEqual([true, false]);
    for (const key of ["b", "c", "d", "e"]) await bucket.set(key, bytes(key));
    await bucket.delete("b");
    await bucket.delete("b");
    const first = await bucket.listKeys(undefined);
    expect(first).toEqual({ keys: ["a", "c"], cursor: "2" });
    expect(await bucket.listKeys(first.cursor)).toEqual({ keys: ["d", "e"], cursor: undefined });
    // The store without a name is the default one.
    expect(open("").store.name).toBe("default");
  });

  test("keyvalueInterfaces: the older version counts the pages of a list", async () => {
    using server = serveKeyvalue(["counters"]);
    using host = hostOf(server);
    const bucket = functionsOf(host, "@0.2.0-draft").open("counters");
    for (const key of ["a", "b", "c", "d", "e"]) await bucket.set(key, bytes(key));
    expect(await bucket.listKeys(undefined)).toEqual({ keys: ["a", "b"], cursor: 1n });
    expect(await bucket.listKeys(1n)).toEqual({ keys: ["c", "d"], cursor: 2n });
    expect(await bucket.listKeys(2n)).toEqual({ keys: ["e"], cursor: undefined });
    const wrong = { tag: "other", val: "7 is no cursor of this bucket" };
    expect(await refusal(bucket.listKeys(7n))).toEqual(wrong);
  });

  test("keyvalueInterfaces: numbers are added, values swapped, batches done", async () => {
    using server = serveKeyvalue(["counters"]);
    using host = hostOf(server);
    const { open, increment, Cas, swap, ...batch } = functionsOf(host);
    const bucket = open("counters");
    expect(await increment(bucket, "n", 5n)).toBe(5n);
    // What an unsigned number of 64 bits makes of -2.
    expect(await increment(bucket, "n", 2n ** 64n - 2n)).toBe(3n);
    const cas = await Cas.new(bucket, "n");
    expect(cas.current()).toEqual(bytes("3"));
    await increment(bucket, "n", 1n);
    const failed = (await refusal(swap(cas, bytes("9")))) as { tag: string; val: Cas };
    expect([failed.tag, failed.val.current()]).toEqual(["cas-failed", bytes("4")]);
    await swap(failed.val, bytes("9"));
    const absent = await Cas.new(bucket, "new");
    expect(absent.current()).toBeUndefined();
    await swap(absent, bytes("first"));
    await batch.setMany(bucket, [
      ["a", bytes("1")],
      ["b", bytes("2")],
    ]);
    expect(await batch.getMany(bucket, ["b", "none", "n"])).toEqual([
      ["b", bytes("2")],
      undefined,
      ["n", bytes("9")],
    ]);
    await batch.deleteMany(bucket, ["a", "none", "new"]);
    expect([...server.values.keys()].sort()).toEqual(["b", "n"]);
    const many = Array.from({ length: MAX_BATCH_KEYS + 1 }, () => "a");
    expect(await refusal(batch.getMany(bucket, many))).toEqual({
      tag: "other",
      val: "1025 keys in one call, at most 1024 are allowed",
    });
  });

  test("keyvalueInterfaces: what is not granted is denied; the log says why", async () => {
    using server = serveKeyvalue(["default"]);
    using host = hostOf(server);
    const { open, increment } = functionsOf(host);
    expect(payloadOf(() => open("secrets"))).toEqual({ tag: "access-denied" });
    expect(payloadOf(() => open("secrets"))).toEqual({ tag: "access-denied" });
    expect(payloadOf(() => open("No Store"))).toEqual({ tag: "no-such-store" });
    expect(host.notes).toEqual([
      "wasi:keyvalue/store: secrets is refused: the pod's annotation kubun.dev/keyvalue-stores " +
        'does not grant it, which the entry "secrets" would',
    ]);
    // The node looks for itself: its pod may have another annotation than the worker was told.
    expect(await refusal(increment(open("counters"), "n", 1n))).toEqual({ tag: "access-denied" });
    expect(host.notes[1]).toContain("the pod's annotation does not name the store counters");
    using without = openHost({ grants: { ...NO_GRANTS, keyvalueStores: ["default"] } });
    const bucket = functionsOf(without).open("default");
    expect(await refusal(bucket.get("a"))).toEqual({ tag: "access-denied" });
  });

  test("keyvalueInterfaces: what the store refuses is told in its words", async () => {
    using server = serveKeyvalue(["default"]);
    using host = hostOf(server);
    const { open, Cas, swap } = functionsOf(host);
    server.instead = ({ op }) =>
      op === "set" ? { type: "refused", why: "other", message: "quota exceeded: …" } : undefined;
    const bucket = open("default");
    const quota = { tag: "other", val: "quota exceeded: …" } as const;
    expect(await refusal(bucket.set("a", bytes("1")))).toEqual(quota);
    const cas = await Cas.new(bucket, "a");
    expect(await refusal(swap(cas, bytes("1")))).toEqual({ tag: "store-error", val: quota });
  });

  test("keyvalueInterfaces: an instance that ends does not wait for the store", async () => {
    using server = serveKeyvalue(["default"]);
    using host = hostOf(server);
    server.instead = () => new Promise(() => undefined);
    const waiting = functionsOf(host).open("default").get("a");
    waiting.catch(() => undefined);
    host.instance.close();
    expect(await waiting.catch((error: Error) => error.message)).toContain(
      "the instance was closed",
    );
  });
});

describe("KeyvalueClient", () => {
  const get = { op: "get", store: "default", key: "a" } as const;

  test("KeyvalueClient: many calls share one connection, within the limit of each", async () => {
    using server = serveKeyvalue(["default"]);
    const client = new KeyvalueClient(server.path, new SystemHostClock());
    let underWay = 0;
    let most = 0;
    server.instead = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      return { type: "absent" };
    };
    const calls = Array.from({ length: 2 * MAX_CALLS_UNDER_WAY }, () => client.call(get));
    expect(await Promise.all(calls)).toEqual(calls.map(() => ({ type: "absent" })));
    expect(most).toBeLessThanOrEqual(MAX_CALLS_UNDER_WAY);
    client.close();
    expect(await client.call(get)).toMatchObject({ type: "refused", why: "other" });
  });

  test("KeyvalueClient: a node that starts again is waited for, no write repeated", async () => {
    using server = serveKeyvalue(["default"]);
    const client = new KeyvalueClient(server.path, new SystemHostClock());
    await client.call({ op: "set", store: "default", key: "a", value: bytes("1") });
    server.instead = () => new Promise(() => undefined);
    const read = client.call(get);
    const write = client.call({ op: "increment", store: "default", key: "a", delta: "1" });
    await eventually(() => server.calls.length === 3);
    server.stop();
    expect(await write).toEqual({
      type: "refused",
      why: "other",
      message: "the node was lost; whether it was done is unknown",
    });
    server.instead = undefined;
    server.start();
    expect(await read).toMatchObject({ type: "value", value: bytes("1") });
    expect(server.calls.filter(({ op }) => op === "increment")).toHaveLength(1);
    client.close();
  });

  test("KeyvalueClient: large values go both ways while others are under way", async () => {
    using server = serveKeyvalue(["default"]);
    const client = new KeyvalueClient(server.path, new SystemHostClock());
    const large = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
    const keys = Array.from({ length: 16 }, (_, index) => `k${index}`);
    await Promise.all(
      keys.map((key) => client.call({ op: "set", store: "default", key, value: large })),
    );
    const read = await Promise.all(keys.map((key) => client.call({ ...get, key })));
    expect(
      read.every((answer) => answer.type === "value" && Bun.deepEquals(answer.value, large)),
    ).toBe(true);
    client.close();
  });
});

test("A translated component uses stores, gives handles away and gets new ones", async () => {
  const code = await ComponentCode.load(await translated.directory(COUNTER), undefined);
  using server = serveKeyvalue(["counters"]);
  using host = hostOf(server);
  const { instance } = host;
  const component = await code.instantiate(instance.imports);
  const handler = component.exports[code.manifest.entry] as {
    handle(request: object, responseOut: object): Promise<void>;
  };
  const ask = async (method: string, pathWithQuery: string): Promise<string> => {
    const request = {
      method,
      scheme: "http",
      pathWithQuery,
      headers: [],
      body: undefined,
    } as const;
    const incoming = instance.incoming(request);
    await handler.handle(incoming.request, incoming.responseOut);
    const response = await incoming.response;
    return `${response.status} ${(await contentOf(response)).toString().trim()}`;
  };
  expect(await ask("GET", "/count/a")).toBe("404 not counted yet");
  expect(await ask("POST", "/count/a")).toBe("200 1");
  expect(await ask("POST", "/count/a?n=41")).toBe("200 42");
  expect(await ask("GET", "/count/a")).toBe("200 42");
  expect(await ask("POST", "/best/b?n=5")).toBe("200 5");
  expect(await ask("POST", "/best/b?n=3")).toBe("200 5");
  // Twice another one comes between: each time the guest gets a new handle.
  let between = 2;
  server.instead = ({ op }) => {
    if (op !== "set" || between-- <= 0) return undefined;
    server.values.set("b", { value: bytes(`${8 - between}`), revision: 1_000 - between });
    return undefined;
  };
  expect(await ask("POST", "/best/b?n=9")).toBe("200 9");
  server.instead = undefined;
  expect(await ask("PUT", "/both")).toBe("200 both");
  expect(await ask("GET", "/")).toBe("200 a 42\nb 9\nboth/a 1\nboth/b 2");
  expect(await ask("DELETE", "/both")).toBe("200 both");
  expect(await ask("DELETE", "/count/a")).toBe("200 gone");
  expect(await ask("GET", "/")).toBe("200 b 9");
  // Buckets and handles are dropped each time.
  const before = instance.resources;
  for (let count = 0; count < 50; count++) await ask("POST", `/best/b?n=${count + 10}`);
  expect(instance.resources).toBe(before);
}, 60_000);

describe("spinKeyValue", () => {
  const SPIN = "fermyon:spin/key-value";
  interface Store {
    get(key: string): Promise<Uint8Array | undefined>;
    set(key: string, value: Uint8Array): Promise<void>;
    delete(key: string): Promise<void>;
    exists(key: string): Promise<boolean>;
    getKeys(): Promise<string[]>;
  }

  test("spinKeyValue: a store of version 2 has the same keys as wasi:keyvalue's", async () => {
    using server = serveKeyvalue(["default"]);
    using host = hostOf(server);
    const spin = imported<{ open(label: string): Store }>(host.instance, SPIN, "Store");
    const store = spin.open("default");
    for (const key of ["a", "b", "c"]) await store.set(key, bytes(key));
    expect(await functionsOf(host).open("default").get("b")).toEqual(bytes("b"));
    await store.delete("b");
    expect([await store.exists("b"), await store.get("b")]).toEqual([false, undefined]);
    for (const key of ["d", "e"]) await store.set(key, bytes(key));
    expect(await store.getKeys()).toEqual(["a", "c", "d", "e"]);
    expect(payloadOf(() => spin.open("secrets"))).toEqual({ tag: "access-denied" });
    expect(host.notes[0]).toStartWith("fermyon:spin/key-value: secrets is refused");
  });

  test("spinKeyValue: the version before knows stores by numbers, and its own errors", async () => {
    using server = serveKeyvalue(["default"]);
    using host = hostOf(server);
    type Act = (store: number, key: string, value?: Uint8Array) => Promise<unknown>;
    const act = (name: string): Act => imported<Act>(host.instance, SPIN, name);
    const store = imported<(name: string) => number>(host.instance, SPIN, "open")("default");
    await act("set")(store, "a", bytes("1"));
    expect(await act("get")(store, "a")).toEqual(bytes("1"));
    expect(await refusal(act("get")(store, "b"))).toEqual({ tag: "no-such-key" });
    server.instead = () => ({ type: "refused", why: "other", message: "full" });
    expect(await refusal(act("set")(store, "a", bytes("1")))).toEqual({ tag: "io", val: "full" });
    imported<(store: number) => void>(host.instance, SPIN, "close")(store);
    expect(await refusal(act("exists")(store, "a"))).toEqual({ tag: "invalid-store" });
  });
});
