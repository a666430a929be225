import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { openStore, StoreError } from "../store/index.ts";
import type { Store } from "../store/index.ts";
import { createDisk } from "./disk.ts";
import { systemClock } from "./system-clock.ts";
import { systemRandom } from "./system-random.ts";

const DISK_BYTES = 16 * 1024 * 1024;
const VALUE_BYTES = 16 * 1024;
const MAX_WRITES = 2_000;
const ANSWER_MS = 1_000;

/** A real file system of a few megabytes; only root may mount one. */
const directory = mkdtempSync(join(tmpdir(), "kubun-full-"));
const mounted =
  process.getuid?.() === 0 &&
  Bun.spawnSync({
    cmd: ["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", directory],
    stderr: "ignore",
  }).success;

afterAll(() => {
  // Lazily: a failed test may have left the store open.
  if (mounted) Bun.spawnSync({ cmd: ["umount", "--lazy", directory] });
  rmSync(directory, { recursive: true, force: true });
});

const open = (fatal: Error[]): Promise<Store> =>
  openStore({
    directory: join(directory, "store"),
    disk: createDisk(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    onFatal: (error) => fatal.push(error),
  });

/** Creates keys until one is refused or waits. @returns those that were acknowledged */
async function writeUntilFull(store: Store): Promise<string[]> {
  const known: string[] = [];
  for (let number = 0; number < MAX_WRITES; number++) {
    const key = `/k/${number}`;
    const writing = store.create(key, new Uint8Array(VALUE_BYTES)).then(
      () => "written",
      (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
    );
    const waiting = new Promise<string>((resolve) => {
      systemClock.after(ANSWER_MS, () => resolve("waits"));
    });
    const outcome = await Promise.race([writing, waiting]);
    if (outcome !== "written") return known;
    known.push(key);
  }
  throw new Error("the disk did not become full");
}

test.skipIf(!mounted)(
  "createDisk: a store on a full disk can be read, and writes again when there is space",
  async () => {
    const fatal: Error[] = [];
    const ballast = join(directory, "ballast");
    const store = await open(fatal);
    writeFileSync(ballast, new Uint8Array(DISK_BYTES / 2));
    const known = await writeUntilFull(store);
    expect(known.length).toBeGreaterThan(10);
    for (const key of known) expect(store.get(key)).toBeDefined();
    rmSync(ballast);
    await eventually(() => store.create(`/again/${Math.random()}`, new Uint8Array(1)), {
      deadlineMs: 20_000,
    });
    expect(fatal).toEqual([]);
    await store.close();
    const again = await open(fatal);
    expect(again.count("/again/")).toBeGreaterThanOrEqual(1);
    for (const key of known) expect(again.get(key)).toBeDefined();
    await again.close();
  },
  60_000,
);
