import { describe, expect, test } from "bun:test";
import { drainMicrotasks, randomInteger, SeededRandom, silentLogger } from "../lib/index.ts";
import { ManualClock } from "../lib/index.ts";
import { MemoryState } from "../mvcc/index.ts";
import type { Revision } from "../mvcc/index.ts";
import { openStore } from "./open-store.ts";
import type { Store } from "./store.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";
import type { CrashKind } from "./testing/faulty-disk.ts";

const SEEDS = 200;
const LIVES = 3;
const WRITERS = 4;
const WRITES = 40;
const MAX_STEPS = 120;
const DRAIN_ROUNDS = 40;

/** What must be found again: the last acknowledged revision and value of each key. */
type Acknowledged = Map<string, { revision: Revision; value: Uint8Array }>;

/**
 * Small segments and checkpoints, so that a short life rolls, checkpoints, drops and reuses; a kill
 * leaves a file that is some entries behind.
 */
const limits = {
  segmentBytes: 4_096,
  housekeeper: { checkpointBytes: 128 * 1_024 },
  pending: { entries: 5, bytes: 8_192 },
};

async function write(store: Store, name: string, random: SeededRandom, known: Acknowledged) {
  for (let number = 0; number < WRITES; number++) {
    const key = `/${name}/${randomInteger(random, 5)}`;
    const value = random.bytes(randomInteger(random, 900));
    const current = store.get(key);
    const kv =
      current === undefined
        ? await store.create(key, value)
        : await store.update(key, value, current.modRevision);
    known.set(key, { revision: kv.modRevision, value });
  }
}

function verify(store: Store, known: Acknowledged): void {
  for (const [key, { revision, value }] of known) {
    const found = store.get(key);
    if (found === undefined) throw new Error(`${key}@${revision} was acknowledged and is lost`);
    expect(found.modRevision).toBeGreaterThanOrEqual(revision);
    if (found.modRevision === revision) expect(found.value).toEqual(value);
  }
}

/** One machine's life, until its disk stops it: what the next life finds. */
async function live(
  random: SeededRandom,
  known: Acknowledged,
  files: Map<string, Uint8Array>,
  image: Buffer | undefined,
) {
  const disk = new FaultyDisk(random, { crashAtStep: 1 + randomInteger(random, MAX_STEPS) }, files);
  const storage = new MemoryState(image);
  const opening = openStore({
    directory: "/data",
    disk,
    clock: new ManualClock(),
    random,
    logger: silentLogger,
    storage,
    limits,
  });
  const life = opening.then(async (store) => {
    verify(store, known);
    const writers = Array.from({ length: WRITERS }, (_, number) =>
      write(store, `w${number}`, random, known),
    );
    await Promise.all(writers);
  });
  let failure: unknown;
  const ended = new AbortController();
  life.then(
    () => ended.abort(),
    (error: unknown) => (failure = error),
  );
  for (let round = 0; round < DRAIN_ROUNDS && !disk.crashed && !ended.signal.aborted; round++) {
    await drainMicrotasks();
  }
  await drainMicrotasks();
  if (failure !== undefined) throw failure;
  const kind: CrashKind = randomInteger(random, 2) === 0 ? "kill" : "power";
  const left = kind === "kill" ? storage.db.serialize() : storage.image();
  return { files: disk.afterCrash(kind), image: left, checkpoints: storage.checkpoints };
}

describe("openStore", () => {
  test("openStore: finds every acknowledged write after crashes at any step", async () => {
    let checkpoints = 0;
    let acknowledged = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const known: Acknowledged = new Map();
      let files = new Map<string, Uint8Array>();
      let image: Buffer | undefined;
      try {
        for (let life = 0; life < LIVES; life++) {
          const left = await live(random, known, files, image);
          ({ files, image } = left);
          checkpoints += left.checkpoints;
        }
        const disk = new FaultyDisk(random, {}, files);
        const clock = new ManualClock();
        const storage = new MemoryState(image);
        const options = { directory: "/data", disk, clock, random, logger: silentLogger, storage };
        const store = await openStore({ ...options, limits });
        verify(store, known);
        await store.create("/last", new Uint8Array([1]));
        await store.close();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
      acknowledged += known.size;
    }
    // The seeds must have reached what they are for.
    expect(checkpoints).toBeGreaterThan(SEEDS);
    expect(acknowledged).toBeGreaterThan(SEEDS * 5);
  }, 60_000);
});
