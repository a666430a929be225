import { describe, expect, test } from "bun:test";
import { drainMicrotasks, randomInteger, SeededRandom } from "../lib/index.ts";
import type { Revision, StoreWatchEvent } from "../mvcc/index.ts";
import type { Store } from "./store.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";
import { openTestStore } from "./testing/open-test-store.ts";

const value = new Uint8Array([7]);

interface Collected {
  readonly events: StoreWatchEvent[];
  error: unknown;
  ended: boolean;
}

/** Watches in the background until the signal aborts or the watch fails. */
function collect(store: Store, prefix: string, after: number, signal: AbortSignal): Collected {
  const collected: Collected = { events: [], error: undefined, ended: false };
  const run = async (): Promise<void> => {
    for await (const batch of store.watch(prefix, after as Revision, { signal })) {
      collected.events.push(...batch);
    }
  };
  run().then(
    () => (collected.ended = true),
    (error: unknown) => (collected.error = error),
  );
  return collected;
}

const show = (events: readonly StoreWatchEvent[]) =>
  events.map((event) => `${event.type} ${event.kv.key}@${event.kv.modRevision}`);

/** What a promise was rejected with. */
const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no refusal",
    (error: unknown) => error,
  );

describe("Watcher", () => {
  test("Watcher: gives the past behind its revision, then what happens", async () => {
    const { store } = await openTestStore();
    const abort = new AbortController();
    const first = await store.create("/a/1", value);
    await store.create("/b/1", value);
    const all = collect(store, "/a/", 0, abort.signal);
    const late = collect(store, "/a/", first.modRevision, abort.signal);
    await drainMicrotasks();
    await store.create("/a/2", value);
    await store.delete("/a/1", first.modRevision);
    await drainMicrotasks();
    expect(show(all.events)).toEqual(["put /a/1@1", "put /a/2@3", "delete /a/1@4"]);
    expect(show(late.events)).toEqual(["put /a/2@3", "delete /a/1@4"]);
    expect(all.events[2]?.previous).toBe(first);
    abort.abort();
    await drainMicrotasks();
    expect([all.ended, late.ended]).toEqual([true, true]);
    await store.close();
  });

  test("Watcher: gives the past from history when memory has forgotten it", async () => {
    const limits = { window: { maxEvents: 4, maxBytes: 1_000_000 } };
    const { store, clock } = await openTestStore({ limits });
    const wanted: string[] = [];
    for (let number = 0; number < 600; number++) {
      const kv = await store.create(`/${number % 2}/${number}`, value);
      if (number % 2 === 1) wanted.push(`put ${kv.key}@${kv.modRevision}`);
    }
    const watch = collect(store, "/1/", 0, new AbortController().signal);
    for (let turn = 0; turn < 20; turn++) await clock.advanceAsync(1);
    expect(show(watch.events)).toEqual(wanted);
    const kv = await store.create("/1/now", value);
    await drainMicrotasks();
    expect(show(watch.events.slice(-1))).toEqual([`put /1/now@${kv.modRevision}`]);
    await store.close();
    await drainMicrotasks();
    expect(watch.error).toMatchObject({ code: "closed" });
  });

  test("Watcher: memory forgets what is old, and history still tells it", async () => {
    const { store, clock } = await openTestStore({ limits: { housekeeper: { windowMs: 1_000 } } });
    const signal = new AbortController().signal;
    const synced = collect(store, "/", 0, signal);
    const slow = store.watch("/", 0 as Revision, { signal })[Symbol.asyncIterator]();
    const waiting = slow.next();
    for (let number = 1; number <= 3; number++) await store.create(`/${number}`, value);
    expect((await waiting).done).toBe(false);
    await clock.advanceAsync(1_000);
    await store.create("/4", value);
    await clock.advanceAsync(1_000);
    expect(show(synced.events)).toEqual(["put /1@1", "put /2@2", "put /3@3", "put /4@4"]);
    const late = collect(store, "/", 1, signal);
    await drainMicrotasks();
    for (let turn = 0; turn < 5; turn++) await clock.advanceAsync(1);
    expect(show(late.events)).toEqual(["put /2@2", "put /3@3", "put /4@4"]);
    expect(await refusal(slow.next())).toMatchObject({ code: "slow-watcher" });
    await store.close();
  });

  test("Watcher: a slow one is told so, and holds up nobody", async () => {
    const limits = { window: { maxEvents: 8, maxBytes: 1_000_000 } };
    const { store } = await openTestStore({ limits });
    const signal = new AbortController().signal;
    const slow = store.watch("/", 0 as Revision, { signal })[Symbol.asyncIterator]();
    await store.create("/first", value);
    expect((await slow.next()).done).toBe(false);
    const waiting = slow.next();
    await store.create("/second", value);
    expect((await waiting).done).toBe(false);
    for (let number = 0; number < 20; number++) await store.create(`/${number}`, value);
    expect(await refusal(slow.next())).toMatchObject({ code: "slow-watcher" });
    await drainMicrotasks();
    expect((await slow.next()).done).toBe(true);
    await store.close();
  });

  test("Watcher: a quiet one under a busy store is not slow", async () => {
    const limits = { window: { maxEvents: 8, maxBytes: 1_000_000 } };
    const { store } = await openTestStore({ limits });
    const quiet = collect(store, "/quiet/", 0, new AbortController().signal);
    for (let number = 0; number < 100; number++) await store.create(`/busy/${number}`, value);
    await store.create("/quiet/1", value);
    await drainMicrotasks();
    expect(show(quiet.events)).toEqual(["put /quiet/1@101"]);
    await store.close();
  });

  test("Watcher: refuses a compacted and a future revision", async () => {
    const { store } = await openTestStore();
    for (let number = 0; number < 5; number++) await store.create(`/${number}`, value);
    await store.compact(3 as Revision);
    const signal = new AbortController().signal;
    const old = collect(store, "/", 2, signal);
    const ahead = collect(store, "/", 6, signal);
    const exact = collect(store, "/", 3, signal);
    await drainMicrotasks();
    expect(old.error).toMatchObject({ code: "compacted" });
    expect(ahead.error).toMatchObject({ code: "future-revision" });
    expect(show(exact.events)).toEqual(["put /3@4", "put /4@5"]);
    await store.close();
  });

  test("Watcher: every one of hundreds sees each of its revisions once and in order", async () => {
    const random = new SeededRandom(4);
    const limits = { window: { maxEvents: 64, maxBytes: 1_000_000 } };
    const disk = new FaultyDisk(random);
    const { store, clock } = await openTestStore({ disk, limits });
    const abort = new AbortController();
    const watches: { prefix: string; after: number; collected: Collected }[] = [];
    const wanted: { key: string; mark: string; revision: number }[] = [];
    for (let round = 0; round < 300; round++) {
      const prefix = ["/", "/1/", "/2/", "/3/5", "/9/"][randomInteger(random, 5)] ?? "/";
      const after = randomInteger(random, store.revision + 1);
      const collected = collect(store, prefix, after, abort.signal);
      watches.push({ prefix, after, collected });
      const writes = Array.from({ length: randomInteger(random, 6) }, (_, number) => {
        const key = `/${randomInteger(random, 4)}/${randomInteger(random, 10)}/${round}.${number}`;
        return store.create(key, value);
      });
      for (const kv of await Promise.all(writes)) {
        const mark = `put ${kv.key}@${kv.modRevision}`;
        wanted.push({ key: kv.key, mark, revision: kv.modRevision });
      }
      clock.advance(1);
    }
    for (let turn = 0; turn < 30; turn++) await clock.advanceAsync(1);
    for (const { prefix, after, collected } of watches) {
      const mine = wanted.filter((item) => item.revision > after && item.key.startsWith(prefix));
      expect(collected.error).toBeUndefined();
      expect(show(collected.events)).toEqual(mine.map((item) => item.mark));
    }
    abort.abort();
    await store.close();
  });
});
