import { describe, expect, test } from "bun:test";
import { NAMESPACES } from "../../api/index.ts";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../../lib/index.ts";
import { MemoryStore } from "../../lib/testing/memory-store.ts";
import { StoreError, type Revision } from "../../store/index.ts";
import { definitionOf } from "../lookup.ts";
import { createRegistry } from "../registry.ts";
import { MAX_BYTES_AT_ONCE, type ValueEvent } from "./keyvalue-stores.ts";
import { MAX_VALUE_BYTES } from "./value-key.ts";

const AT = { namespace: "team", store: "counters" };

async function fixture(annotations: Record<string, string> = {}) {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const registry = createRegistry({
    store,
    clock,
    random: new SeededRandom(1),
    logger: silentLogger,
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  await registry
    .resource(definitionOf(NAMESPACES))
    .create("", { metadata: { name: "team", annotations } });
  return { store, clock, registry, keyValues: registry.keyValues };
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();

function codeOf(error: unknown): number {
  return (error as { code: number }).code;
}

describe("ReplicatedKeyValues", () => {
  test("ReplicatedKeyValues: a write is one entry of the log", async () => {
    const { store, keyValues } = await fixture();
    const before = store.writes;
    await keyValues.set(AT, "a", bytes("1"));
    await keyValues.increment(AT, "a", 4n);
    await keyValues.delete(AT, "a");
    expect(store.writes - before).toBe(3);
    expect(await keyValues.store(AT)).toBeUndefined();
  });

  test("ReplicatedKeyValues: an increment that was overtaken starts again", async () => {
    const { store, keyValues } = await fixture();
    await keyValues.set(AT, "n", bytes("1"));
    const other = await fixture();
    await other.keyValues.set(AT, "n", bytes("10"));
    const [stolen] = other.store.list("/keyvalue/");
    let once = true;
    store.beforeWrite = async () => {
      if (!once) return;
      once = false;
      const [present] = store.list("/keyvalue/");
      await store.update(
        present?.key ?? "",
        stolen?.value ?? bytes(""),
        present?.modRevision ?? (0 as Revision),
      );
    };
    expect((await keyValues.increment(AT, "n", 5n)).value).toBe(15n);
  });

  test("ReplicatedKeyValues: what is refused gives its room back", async () => {
    const { store, keyValues } = await fixture({ "kubun.dev/keyvalue-quota": "10" });
    store.beforeWrite = () => {
      throw new StoreError("overloaded", "too much");
    };
    for (let count = 0; count < 3; count++) {
      expect(codeOf(await keyValues.set(AT, "a", bytes("123456789")).catch((error) => error))).toBe(
        429,
      );
    }
    store.beforeWrite = undefined;
    await keyValues.set(AT, "a", bytes("123456789"));
    expect(codeOf(await keyValues.set(AT, "b", bytes("")).catch((error) => error))).toBe(403);
  });

  test("ReplicatedKeyValues: room of an unknown outcome is counted anew", async () => {
    const { store, keyValues } = await fixture({ "kubun.dev/keyvalue-quota": "10" });
    store.beforeWrite = () => {
      throw new StoreError("unavailable", "no majority");
    };
    const lost = await keyValues.set(AT, "a", bytes("123456789")).catch((error) => error);
    expect(codeOf(lost)).toBe(504);
    store.beforeWrite = undefined;
    // It was not written after all.
    await keyValues.set(AT, "b", bytes("123456789"));
    expect(codeOf(await keyValues.set(AT, "a", bytes("")).catch((error) => error))).toBe(403);
  });

  test("ReplicatedKeyValues: who does not lead writes nothing", async () => {
    const { store, keyValues, registry } = await fixture({ "kubun.dev/keyvalue-keys": "1" });
    await keyValues.set(AT, "a", bytes("1"));
    const { leadership } = store;
    const request = registry.fenced();
    store.elect({ ...leadership, self: false });
    expect(codeOf(await keyValues.set(AT, "a", bytes("2")).catch((error) => error))).toBe(503);
    expect(text((await keyValues.get(AT, "a"))?.value)).toBe("1");
    const term = (leadership.term + 1) as typeof leadership.term;
    store.elect({ ...leadership, term });
    // A request of the term before is over with it.
    expect(codeOf(await request.keyValues.delete(AT, "a").catch((error) => error))).toBe(503);
    expect(codeOf(await keyValues.set(AT, "b", bytes("")).catch((error) => error))).toBe(403);
    await keyValues.delete(AT, "a");
    await keyValues.set(AT, "b", bytes(""));
  });

  test("ReplicatedKeyValues: a writer of a former term leaves the present room alone", async () => {
    const { store, keyValues } = await fixture({ "kubun.dev/keyvalue-keys": "1" });
    const held: (() => void)[] = [];
    store.beforeWrite = () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.push(resolve);
      return promise;
    };
    const former = ["1", "2"].map((value) => keyValues.set(AT, "a", bytes(value)).catch(codeOf));
    await drainMicrotasks();
    const { leadership } = store;
    store.elect({ ...leadership, term: (leadership.term + 1) as typeof leadership.term });
    const present = keyValues.set(AT, "b", bytes(""));
    await drainMicrotasks();
    held.shift()?.();
    expect(await Promise.all(former)).toEqual([503, 503]);
    expect(await keyValues.set(AT, "c", bytes("")).catch(codeOf)).toBe(403);
    held.shift()?.();
    await present;
  });

  test("ReplicatedKeyValues: what is read at once, and told at once, is bounded", async () => {
    const { keyValues } = await fixture();
    const large = new Uint8Array(MAX_VALUE_BYTES);
    const keys = ["a", "b", "c", "d", "e"];
    for (const key of keys) await keyValues.set(AT, key, large);
    expect(codeOf(await keyValues.getMany(AT, keys).catch((error) => error))).toBe(413);
    expect(await keyValues.getMany(AT, keys.slice(1))).toHaveLength(4);
    const stopped = new AbortController();
    const batches: ValueEvent[][] = [];
    for await (const batch of keyValues.watch(AT, { signal: stopped.signal })) {
      batches.push([...batch]);
      if (batch.at(-1)?.type === "BOOKMARK") stopped.abort();
    }
    expect(batches.map((batch) => batch.length)).toEqual([
      MAX_BYTES_AT_ONCE / MAX_VALUE_BYTES,
      1,
      1,
    ]);
  });

  test("ReplicatedKeyValues: a store is emptied while others write", async () => {
    const { keyValues } = await fixture();
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => keyValues.set(AT, key, bytes(key))));
    const [emptied] = await Promise.all([
      keyValues.empty(AT),
      keyValues.delete(AT, "k7"),
      keyValues.set({ ...AT, store: "other" }, "k", bytes("1")),
    ]);
    expect(emptied).toBe(200);
    const { items } = await keyValues.stores("");
    expect(items.map(({ store }) => store)).toEqual(["other"]);
  });

  test("ReplicatedKeyValues: the age of a key is the leader's first word", async () => {
    const { keyValues, clock } = await fixture();
    const first = clock.now();
    await keyValues.set(AT, "a", bytes("1"));
    clock.advance(5_000);
    await keyValues.set(AT, "a", bytes("2"));
    expect((await keyValues.store(AT))?.createdMs).toBe(first);
  });
});
