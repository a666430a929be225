import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { openStore, restoreSnapshot } from "../store/index.ts";
import type { Revision, Store } from "../store/index.ts";
import { createDisk } from "./disk.ts";
import { systemClock } from "./system-clock.ts";
import { systemRandom } from "./system-random.ts";

const disk = createDisk();
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubun-disk-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (
  name: string,
  housekeeper: { checkpointBytes?: number; moveBytes?: number } = {},
): Promise<Store> =>
  openStore({
    directory: join(directory, name),
    disk,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    limits: { housekeeper },
  });

const createMany = (store: Store, count: number, bytes: number) =>
  Promise.all(
    Array.from({ length: count }, (_, index) => store.create(`/k/${index}`, new Uint8Array(bytes))),
  );

describe("createDisk", () => {
  test("createDisk: a written file reads back; a missing directory lists as empty", async () => {
    const file = await disk.open(join(directory, "file"));
    await file.writeDurably(3, new Uint8Array([1, 2]));
    expect(await file.size()).toBe(5);
    expect(await file.read(2, 10)).toEqual(new Uint8Array([0, 1, 2]));
    await file.datasync();
    await file.close();
    expect(await disk.list(directory)).toEqual(["file"]);
    expect(await disk.list(join(directory, "missing"))).toEqual([]);
  });

  test("createDisk: a locked directory names its holder, and is free after release", async () => {
    const lock = await disk.lock(directory);
    const refusal = await disk.lock(directory).catch((error: unknown) => error);
    expect(String(refusal)).toContain(`is in use by process ${process.pid}`);
    await lock.release();
    await (await disk.lock(directory)).release();
  });
});

describe("openStore", () => {
  test("openStore: keeps its state on a real disk over a close and many checkpoints", async () => {
    const store = await open("a", { checkpointBytes: 256 * 1_024 });
    const created = await createMany(store, 3_000, 512);
    await store.delete("/k/0", created[0]?.modRevision ?? (0 as Revision));
    await store.close();
    expect(readdirSync(join(directory, "a")).filter((name) => name.includes("wal"))).toEqual([]);
    const reopened = await open("a");
    expect(reopened.count("/k/")).toBe(2_999);
    expect(reopened.revision).toBe(3_001 as Revision);
    expect(await reopened.listAt("/k/", 3_000 as Revision)).toHaveLength(3_000);
    await reopened.close();
  });

  test("openStore: what waits in the write-ahead log reaches the file in time", async () => {
    const store = await open("a", { moveBytes: 64 * 1_024 });
    await createMany(store, 1_000, 512);
    const file = join(directory, "a", "state.db");
    await eventually(() => statSync(file).size > 500 * 512);
    await store.close();
  });

  test("openStore: a snapshot restores elsewhere, behind every revision seen", async () => {
    const store = await open("a");
    await createMany(store, 100, 2_048);
    const path = join(directory, "snapshot.db");
    await store.snapshot(path);
    const modes = [path, join(directory, "a", "state.db"), join(directory, "a", "state.db-wal")];
    for (const file of modes) expect(statSync(file).mode & 0o777).toBe(0o600);
    await store.create("/later", new Uint8Array());
    const lost = store.revision;
    await store.close();
    const restored = { snapshot: path, directory: join(directory, "b"), disk };
    const { revision } = await restoreSnapshot(restored);
    expect(revision).toBeGreaterThan(lost);
    const refusal = await restoreSnapshot(restored).catch((error: unknown) => error);
    expect(String(refusal)).toContain("empty data directory");
    const copy = await open("b");
    expect(copy.count("/")).toBe(100);
    expect(copy.revision).toBe(revision);
    expect(await copy.listAt("/", lost).catch((error: unknown) => error)).toMatchObject({
      code: "compacted",
    });
    expect((await copy.create("/new", new Uint8Array())).modRevision).toBeGreaterThan(lost);
    await copy.close();
    const again = await open("b");
    expect(again.count("/")).toBe(101);
    await again.close();
  });

  test("openStore: a damaged snapshot and a foreign file are refused", async () => {
    const path = join(directory, "foreign.db");
    writeFileSync(path, "no database at all".repeat(1_000));
    const refusal = await restoreSnapshot({ snapshot: path, directory, disk }).catch(
      (error: unknown) => error,
    );
    expect(String(refusal)).toContain("not a database");
    expect(readdirSync(directory).filter((name) => name.startsWith("state"))).toEqual([]);
  });

  test("openStore: an idle store writes nothing and lets its log be", async () => {
    const store = await open("a");
    await store.create("/a", new Uint8Array(10));
    const log = join(directory, "a", "log");
    const sizes = () => readdirSync(log).map((name) => statSync(join(log, name)).mtimeMs);
    const before = sizes();
    await store.barrier();
    expect(sizes()).toEqual(before);
    await store.close();
  });
});
