/**
 * What housekeeping costs writers of a large state: the longest gap of the event loop, and how long
 * writes take, while the store checkpoints, compacts, gives pages back, copies itself for a peer,
 * and takes a copy over.
 *
 *     bun test/bench/checkpoint-bench.ts [--megabytes 1024] [--rate 200] [--directory /var/tmp]
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { silentLogger } from "../../src/lib/index.ts";
import { SqliteState } from "../../src/mvcc/index.ts";
import { createDisk, systemClock, systemRandom } from "../../src/os/index.ts";
import { openStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "1024" },
    rate: { type: "string", default: "200" },
    directory: { type: "string", default: tmpdir() },
  },
});
const stateBytes = Number(values.megabytes) * 1024 * 1024;
const writesPerSecond = Number(values.rate);

const VALUE_BYTES = 4_096;
const LOAD_BATCH = 2_000;
const TICK_MS = 10;
const QUIET_MS = 3_000;
/** No phase takes longer, or something is wrong. */
const PHASE_LIMIT_MS = 90_000;
const MEGABYTE = 1024 * 1024;

interface Figure {
  readonly phase: string;
  readonly seconds: number;
  readonly gaps: readonly number[];
  readonly writes: readonly number[];
}

const directory = mkdtempSync(join(values.directory, "kubun-checkpoint-bench-"));
const keys = Math.floor(stateBytes / VALUE_BYTES);
const value = new Uint8Array(VALUE_BYTES).fill(7);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Steady writes, and a timer that should fire every few milliseconds, while the work runs. */
async function measure(phase: string, store: Store, work: () => Promise<unknown>): Promise<Figure> {
  const gaps: number[] = [];
  const writes: number[] = [];
  const started = performance.now();
  let last = started;
  let due = started;
  let next = 0;
  const pending = new Set<Promise<void>>();
  const write = async (): Promise<void> => {
    const begun = performance.now();
    const key = `/k/${(next++ * 7_919) % keys}`;
    const current = store.get(key);
    if (current === undefined) return;
    await store.update(key, value, current.modRevision).catch(() => undefined);
    writes.push(performance.now() - begun);
  };
  const timer = setInterval(() => {
    const now = performance.now();
    gaps.push(now - last - TICK_MS);
    last = now;
    for (; due <= now; due += 1_000 / writesPerSecond) {
      const writing = write();
      pending.add(writing);
      void writing.finally(() => pending.delete(writing));
    }
  }, TICK_MS);
  await work();
  clearInterval(timer);
  await Promise.all(pending);
  return { phase, seconds: (performance.now() - started) / 1_000, gaps, writes };
}

async function load(store: Store): Promise<void> {
  for (let from = 0; from < keys; from += LOAD_BATCH) {
    const batch = Array.from({ length: Math.min(LOAD_BATCH, keys - from) }, (_, offset) =>
      store.create(`/k/${from + offset}`, value),
    );
    await Promise.all(batch);
    await pause(0);
  }
}

const sizeOf = (name: string): number =>
  statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;

/** The write-ahead log grows to its bound, is moved, and starts anew. */
async function checkpoints(store: Store, count: number): Promise<void> {
  for (let done = 0, before = sizeOf("state.db-wal"); done < count;) {
    const added = Array.from({ length: 50 }, async (_, number) => {
      const current = store.get(`/k/${number}`);
      if (current !== undefined) await store.update(current.key, value, current.modRevision);
    });
    await Promise.allSettled(added);
    await pause(5);
    const now = sizeOf("state.db-wal");
    if (now < before / 2) done += 1;
    before = now;
  }
}

async function run(): Promise<void> {
  const store = await openStore({
    directory,
    disk: createDisk(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  const figures: Figure[] = [];
  await load(store);
  const full = sizeOf("state.db");
  figures.push(await measure("quiet", store, () => pause(QUIET_MS)));
  figures.push(await measure("checkpoints (3)", store, () => checkpoints(store, 3)));
  const copy = join(directory, "copy.db");
  figures.push(await measure("snapshot", store, () => store.snapshot(copy)));
  // Half of the keys go: their rows are scavenged and the file shrinks.
  const shrink = async (): Promise<void> => {
    for (let number = 0; number < keys; number += 2) {
      const current = store.get(`/k/${number}`);
      if (current === undefined) continue;
      const deleting = store.delete(current.key, current.modRevision).catch(() => undefined);
      if (number % 500 === 0) await deleting;
    }
    const limit = performance.now() + PHASE_LIMIT_MS;
    while (sizeOf("state.db") > full * 0.65 && performance.now() < limit) {
      // The writers go on, and so does the history.
      await store.compact(store.revision).catch(() => undefined);
      await pause(1_000);
    }
  };
  figures.push(await measure("compaction, vacuum", store, shrink));
  const shrunk = sizeOf("state.db");
  // A state of its own takes the copy over, as a member that joins does, beside the writers.
  const joining = new SqliteState({
    path: join(directory, "joining.db"),
    whenIdle: () => () => undefined,
  });
  figures.push(await measure("install (same process)", store, () => joining.install(copy)));
  await joining.close();
  await store.close();
  report(figures, { full, shrunk });
}

function report(figures: readonly Figure[], sizes: { full: number; shrunk: number }): void {
  console.log(`state of ${Math.round(sizes.full / MEGABYTE)} MB, ${writesPerSecond} writes/s`);
  const row = ({ phase, seconds, gaps, writes }: Figure): string[] => [
    phase,
    seconds.toFixed(1),
    ...[50, 99, 100].map((share) => percentile(gaps, share).toFixed(1)),
    String(writes.length),
    ...[50, 99, 100].map((share) => percentile(writes, share).toFixed(1)),
  ];
  const title = ["phase", "s", "gap p50", "p99", "max ms", "writes", "p50", "p99", "max ms"];
  printTable(title, figures.map(row));
  console.log(`the file shrank to ${Math.round(sizes.shrunk / MEGABYTE)} MB`);
}

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
