import { describe, expect, test } from "bun:test";
import { drainMicrotasks, SeededRandom } from "../lib/index.ts";
import { MemoryState, StateMachine } from "../mvcc/index.ts";
import type { LeaseId, Revision } from "../mvcc/index.ts";
import { MAX_VALUE_BYTES } from "./raft-store.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";
import type { Faults } from "./testing/faulty-disk.ts";
import { openTestStore } from "./testing/open-test-store.ts";

const value = new Uint8Array([1, 2, 3]);
const code = (name: string) => expect.objectContaining({ code: name });

/** What a promise was rejected with. */
const refusal = (promise: Promise<unknown> = Promise.resolve()): Promise<unknown> =>
  promise.then(
    () => "no refusal",
    (error: unknown) => error,
  );

describe("RaftStore", () => {
  test("RaftStore: a get after a write sees it, as the same object", async () => {
    const { store } = await openTestStore();
    const created = await store.create("/a", value);
    expect(store.get("/a")).toBe(created);
    expect(store.list("/")[0]).toBe(created);
    expect(await store.barrier()).toBe(store.revision);
    const updated = await store.update("/a", new Uint8Array([4]), created.modRevision);
    expect(updated.version).toBe(2);
    expect(await store.getAt("/a", created.modRevision)).toEqual(created);
    await store.delete("/a", updated.modRevision);
    expect(store.get("/a")).toBeUndefined();
    expect(await store.listAt("/", updated.modRevision)).toEqual([updated]);
    await store.close();
  });

  test("RaftStore: refusals carry their code and what the key holds", async () => {
    const { store } = await openTestStore();
    const kv = await store.create("/a", value);
    const exists = await store.create("/a", value).catch((error: unknown) => error);
    expect(exists).toMatchObject({ code: "key-exists", current: kv });
    const stale = await refusal(store.update("/a", value, 9 as Revision));
    expect(stale).toEqual(code("revision-mismatch"));
    expect(await refusal(store.delete("/b", 1 as Revision))).toEqual(code("key-missing"));
    const lease = 7 as LeaseId;
    expect(await refusal(store.create("/c", value, { lease }))).toEqual(code("lease-missing"));
    expect(await refusal(store.listAt("/", 9 as Revision))).toEqual(code("future-revision"));
    const large = new Uint8Array(MAX_VALUE_BYTES + 1);
    expect(await refusal(store.create("/c", large))).toEqual(code("too-large"));
    await store.create("/c", large.subarray(1));
    await store.close();
    expect(await refusal(store.create("/d", value))).toEqual(code("closed"));
    expect(await refusal(store.barrier())).toEqual(code("closed"));
  });

  test("RaftStore: what waits for the disk becomes one write", async () => {
    const { store, disk } = await openTestStore();
    const before = disk.steps;
    await Promise.all(Array.from({ length: 100 }, (_, index) => store.create(`/${index}`, value)));
    expect(disk.steps - before).toBe(1);
    expect(store.count("/")).toBe(100);
    await store.close();
  });

  test("RaftStore: refuses as overloaded when too much waits, and recovers", async () => {
    const driver = {
      maxWaiting: 3,
      maxWaitingBytes: 1_000,
      maxBatchCommands: 2,
      maxBatchBytes: 1_000,
    };
    const { store } = await openTestStore({ limits: { driver } });
    const writes = ["a", "b", "c", "d"].map((key) => store.create(key, value));
    expect(await refusal(writes[3])).toEqual(code("overloaded"));
    await Promise.all(writes.slice(0, 3));
    const large = store.create("e", new Uint8Array(1_000));
    expect(await refusal(large)).toEqual(code("overloaded"));
    await store.create("d", value);
    await store.close();
  });

  test("RaftStore: a failed write to the medium is fatal and never retried", async () => {
    const faults: Faults = {};
    const disk = new FaultyDisk(new SeededRandom(1), faults);
    const { store, fatal } = await openTestStore({ disk });
    await store.create("/a", value);
    const stepsBefore = disk.steps;
    faults.failAtStep = stepsBefore + 1;
    const refused = await store.create("/b", value).catch((error: unknown) => error);
    // It may be on the medium: only the next open knows.
    expect(refused).toMatchObject({ code: "unavailable" });
    expect(String(refused)).toContain("EIO");
    expect(await refusal(store.create("/c", value))).toEqual(code("read-only"));
    expect(store.mode).toBe("read-only");
    expect(store.get("/a")?.version).toBe(1);
    expect(await store.barrier()).toBe(store.revision);
    expect(fatal.length).toBe(1);
    await store.close();
    expect(disk.steps).toBe(stepsBefore + 1);
  });

  test("RaftStore: a full disk is read, and written when there is space", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { store, fatal, clock } = await openTestStore({ disk, limits: { growthBytes: 0 } });
    await store.create("/a", value);
    disk.fill();
    const caught = await refusal(store.create("/b", value));
    expect(caught).toEqual(code("unavailable"));
    expect(String(caught)).toContain("no space left");
    expect(store.mode).toBe("read-only");
    expect(await refusal(store.create("/c", value))).toEqual(code("read-only"));
    expect(await store.barrier()).toBe(store.revision);
    expect(store.list("/").length).toBe(1);
    disk.free();
    await clock.advanceAsync(2_000);
    expect(store.mode).toBe("read-write");
    expect(store.get("/b")?.version).toBe(1);
    await store.create("/c", value);
    expect(fatal).toEqual([]);
    await store.close();
  });

  test("RaftStore: closed while its disk is full, it finds everything again", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { store, storage } = await openTestStore({ disk, limits: { growthBytes: 0 } });
    await store.create("/a", value);
    disk.fill();
    await refusal(store.create("/b", value));
    const image = storage.db.serialize();
    await refusal(store.close());
    const files = disk.afterCrash("kill");
    const next = new FaultyDisk(new SeededRandom(2), {}, files);
    const reopened = await openTestStore({ disk: next, image });
    expect(reopened.store.get("/a")?.version).toBe(1);
    if (reopened.store.get("/b") === undefined) await reopened.store.create("/b", value);
    await reopened.store.close();
  });

  test("RaftStore: a snapshot has what was acknowledged, a kill leaves it to the log", async () => {
    const { store, storage, disk } = await openTestStore();
    for (const key of ["/a", "/b"]) await store.create(key, value);
    const countOf = (image: Buffer): number => {
      const { db } = new MemoryState(image);
      const machine = new StateMachine({ db });
      db.close();
      return machine.count("/");
    };
    const killed = storage.db.serialize();
    expect(countOf(killed)).toBe(0);
    const files = disk.afterCrash("kill");
    const next = new FaultyDisk(new SeededRandom(2), {}, files);
    const reopened = await openTestStore({ disk: next, image: killed });
    expect(reopened.store.list("/").length).toBe(2);
    await reopened.store.snapshot("/copy");
    const copy = new Map(next.files()).get("/copy") ?? new Uint8Array();
    expect(countOf(Buffer.from(copy))).toBe(2);
    await reopened.store.create("/c", value);
    await reopened.store.close();
    // A stopped store has all of it in its file, and its log begins behind that.
    expect(countOf(reopened.storage.image() ?? Buffer.alloc(0))).toBe(3);
  });

  test("RaftStore: an idle store changes nothing on the disk", async () => {
    const { store, disk, clock } = await openTestStore();
    await store.create("/a", value);
    await store.compact(store.revision);
    await clock.advanceAsync(1_000, 100);
    const before = disk.steps;
    await clock.advanceAsync(3_600_000, 60_000);
    await drainMicrotasks();
    expect(disk.steps).toBe(before);
    await store.close();
  });

  test("RaftStore: compacts what is older than its history, then rests", async () => {
    const { store, clock } = await openTestStore();
    const kv = await store.create("/a", value);
    await clock.advanceAsync(600_001, 100_000);
    const updated = await store.update("/a", value, kv.modRevision);
    await clock.advanceAsync(1_200_001, 100_000);
    expect(store.compactedRevision).toBe(updated.modRevision);
    expect(await refusal(store.listAt("/", kv.modRevision))).toEqual(code("compacted"));
    expect(clock.pending).toBe(0);
    await store.close();
  });

  test("RaftStore: compacts early when there are too many changes", async () => {
    const { store } = await openTestStore({ limits: { housekeeper: { historyRevisions: 10 } } });
    for (let number = 0; number < 12; number++) await store.create(`/${number}`, value);
    await drainMicrotasks();
    expect(store.compactedRevision).toBeGreaterThanOrEqual(5);
    await store.close();
  });

  test("RaftStore: a lease that is not renewed takes its keys along", async () => {
    const { store, clock } = await openTestStore();
    const lease = await store.grantLease(10_000);
    await store.create("/a", value, { lease });
    await store.create("/b", value);
    await clock.advanceAsync(9_000);
    await store.renewLease(lease);
    await clock.advanceAsync(9_000);
    expect(store.count("/")).toBe(2);
    await clock.advanceAsync(1_001);
    await drainMicrotasks();
    expect(store.list("/").map((kv) => kv.key)).toEqual(["/b"]);
    expect(await refusal(store.renewLease(lease))).toEqual(code("lease-missing"));
    await store.close();
  });

  test("RaftStore: a reopened store gives every lease its whole time again", async () => {
    const first = await openTestStore();
    const lease = await first.store.grantLease(10_000);
    await first.store.create("/a", value, { lease });
    await first.clock.advanceAsync(9_000);
    const image = first.storage.db.serialize();
    const files = first.disk.afterCrash("kill");
    const disk = new FaultyDisk(new SeededRandom(2), {}, files);
    const { store, clock } = await openTestStore({ disk, image });
    await clock.advanceAsync(9_000);
    expect(store.count("/")).toBe(1);
    await clock.advanceAsync(1_001);
    await drainMicrotasks();
    expect(store.count("/")).toBe(0);
    await store.close();
  });

  test("RaftStore: a directory has one store at a time", async () => {
    const { store, disk } = await openTestStore();
    expect(String(await refusal(openTestStore({ disk })))).toContain("/data is in use");
    await drainMicrotasks();
    await store.close();
    const files = disk.afterCrash("kill");
    const again = await openTestStore({ disk: new FaultyDisk(new SeededRandom(3), {}, files) });
    await again.store.close();
  });
});
