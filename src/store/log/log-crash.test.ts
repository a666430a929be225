import { describe, expect, test } from "bun:test";
import { drainMicrotasks, randomInteger, SeededRandom } from "../../lib/index.ts";
import type { HardState, LogEntry, LogIndex, MemberId, Term } from "../../raft/index.ts";
import { isDiskFull } from "../disk.ts";
import { FaultyDisk } from "../testing/faulty-disk.ts";
import type { LogPoint } from "./log-types.ts";
import { LogDamagedError } from "./log-types.ts";
import { SegmentedLog } from "./segmented-log.ts";

const SEEDS = 1_500;
const ROT_SEEDS = 1_500;
const CUT_SEEDS = 150;
const REPAIR_STEPS = 10;
const LIVES = 4;
const STEPS_A_LIFE = 60;
const OPERATIONS = 60;
const DRAIN_ROUNDS = 200;

/** What the log must say; `durable` is the least, the rest may have happened as well. */
interface Model {
  base: LogPoint;
  entries: LogEntry[];
  hardState: HardState;
  /** As of the last write: later commit indexes may be forgotten. */
  durableCommit: number;
  applied: LogPoint;
}

const copy = (model: Model): Model => ({ ...model, entries: [...model.entries] });
const lastOf = (model: Model): number => model.base.index + model.entries.length;
const termOf = (model: Model, index: number): Term =>
  model.entries[index - model.base.index - 1]?.term ?? model.base.term;

function newModel(): Model {
  const origin = { index: 0 as LogIndex, term: 0 as Term };
  const hardState = { term: 0 as Term, vote: 0 as MemberId | 0, commit: 0 as LogIndex };
  return { base: origin, entries: [], hardState, durableCommit: 0, applied: origin };
}

type Operation =
  | { readonly type: "append"; readonly entries: LogEntry[]; readonly hardState: HardState }
  | { readonly type: "drop"; readonly index: LogIndex }
  | { readonly type: "reset"; readonly point: LogPoint };

function nextOperation(random: SeededRandom, model: Model): Operation {
  const dice = randomInteger(random, 20);
  const { hardState, applied } = model;
  const last = lastOf(model);
  if (dice === 0 && applied.index > 0) return { type: "drop", index: applied.index };
  if (dice === 1) {
    const index = (last + randomInteger(random, 20)) as LogIndex;
    return { type: "reset", point: { index, term: hardState.term } };
  }
  const rises = randomInteger(random, 4) === 0 || hardState.term === 0;
  const term = (hardState.term + (rises ? 1 : 0)) as Term;
  const first = rises ? 1 + Math.max(hardState.commit, last - randomInteger(random, 6)) : last + 1;
  const count = randomInteger(random, 5);
  const entries = Array.from({ length: count }, (_, offset): LogEntry => ({
    index: (first + offset) as LogIndex,
    term,
    type: randomInteger(random, 9) === 0 ? "config" : "data",
    data: random.bytes(randomInteger(random, 900)),
  }));
  const end = count === 0 ? last : first + count - 1;
  const commit = (hardState.commit + randomInteger(random, end - hardState.commit + 1)) as LogIndex;
  const vote = (rises ? randomInteger(random, 3) : hardState.vote) as MemberId | 0;
  return { type: "append", entries, hardState: { term, vote, commit } };
}

function after(model: Model, operation: Operation): Model {
  const next = copy(model);
  if (operation.type === "reset") {
    const { point } = operation;
    const commit = Math.max(model.hardState.commit, point.index) as LogIndex;
    const hardState = { ...model.hardState, commit };
    return { base: point, entries: [], hardState, durableCommit: point.index, applied: point };
  }
  if (operation.type === "append") {
    const { entries, hardState } = operation;
    const first = entries[0]?.index;
    if (first !== undefined) next.entries.length = first - model.base.index - 1;
    next.entries.push(...entries);
    const { term, vote } = model.hardState;
    const wrote = entries.length > 0 || term !== hardState.term || vote !== hardState.vote;
    if (wrote) next.durableCommit = hardState.commit;
    next.hardState = hardState;
  }
  return next;
}

const apply = (operation: Operation, log: SegmentedLog): Promise<void> => {
  if (operation.type === "append") return log.append(operation);
  return operation.type === "drop" ? log.dropThrough(operation.index) : log.reset(operation.point);
};

/** Whether the log is what the model says. */
async function matches(log: SegmentedLog, hardState: HardState, model: Model): Promise<boolean> {
  const entries = await log.read((log.base.index + 1) as LogIndex, Infinity);
  if (entries === "compacted" || log.lastIndex !== lastOf(model)) return false;
  const { term, vote } = model.hardState;
  if (hardState.term !== term || hardState.vote !== vote) return false;
  if (hardState.commit < model.durableCommit) return false;
  // A log that reaches the installed state need not be reset.
  const behind = entries.filter((entry) => entry.index > model.base.index);
  return behind.every((entry) =>
    Bun.deepEquals(entry, model.entries[entry.index - model.base.index - 1]),
  );
}

/** The entries of one and the promise of the other: a torn write may leave its vote alone. */
const promiseOnly = (model: Model, next: Model): Model => ({
  ...copy(model),
  hardState: next.hardState,
  durableCommit: 0,
});

interface Life {
  readonly disk: FaultyDisk;
  readonly model: Model;
  /** What was under way when the machine stopped. */
  readonly pending: Operation | undefined;
}

async function live(
  random: SeededRandom,
  model: Model,
  candidates: Model[],
  files: Map<string, Uint8Array>,
) {
  const disk = new FaultyDisk(
    random,
    { crashAtStep: 1 + randomInteger(random, STEPS_A_LIFE) },
    files,
  );
  let life: Life = { disk, model, pending: undefined };
  let found: Model | undefined;
  const run = async (): Promise<void> => {
    const { applied } = model;
    const options = {
      disk,
      directory: "/log",
      random,
      applied,
      segmentBytes: 4_096,
      installed: true,
    };
    const { log, hardState } = await SegmentedLog.open(options);
    for (const candidate of candidates) {
      if (await matches(log, hardState, candidate)) found ??= candidate;
    }
    if (found === undefined) throw new Error("the log is neither what it was nor what it became");
    let now = { ...copy(found), hardState };
    life = { disk, model: now, pending: undefined };
    for (let count = 0; count < OPERATIONS; count++) {
      const operation = nextOperation(random, now);
      life = { disk, model: now, pending: operation };
      if (randomInteger(random, 6) === 0) disk.fill();
      const refused = await apply(operation, log).then(
        () => false,
        (error: unknown) => {
          if (!isDiskFull(error)) throw error;
          return true;
        },
      );
      disk.free();
      if (!refused) now = after(now, operation);
      const progress = randomInteger(random, 3) === 0 && now.hardState.commit > now.applied.index;
      const index = now.hardState.commit;
      if (progress) now.applied = { index, term: termOf(now, index) };
      life = { disk, model: now, pending: undefined };
    }
  };
  const failures: unknown[] = [];
  const ended = new AbortController();
  run()
    .catch((error: unknown) => failures.push(error))
    .finally(() => ended.abort())
    .catch(() => undefined);
  for (let round = 0; round < DRAIN_ROUNDS && !disk.crashed && !ended.signal.aborted; round++) {
    await drainMicrotasks();
  }
  if (failures.length > 0) throw failures[0];
  // A life that did not come to its first operation leaves what it began with.
  return found === undefined ? undefined : life;
}

/** A log of some operations, closed. */
async function writeSome(random: SeededRandom, disk: FaultyDisk) {
  const options = { directory: "/log", random, segmentBytes: 4_096 };
  const { log } = await SegmentedLog.open({ ...options, disk, applied: newModel().applied });
  let model = newModel();
  for (let count = 0; count < 20; count++) {
    const operation = nextOperation(random, model);
    await apply(operation, log);
    model = after(model, operation);
  }
  await log.close();
  return { model, options };
}

function onlyDamage(error: unknown): undefined {
  if (!(error instanceof LogDamagedError)) throw error;
}

describe("SegmentedLog", () => {
  test("SegmentedLog: holds what it promised after crashes at any step", async () => {
    let operations = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed);
      let candidates = [newModel()];
      let files = new Map<string, Uint8Array>();
      try {
        for (let life = 0; life < LIVES; life++) {
          const first = candidates[0] ?? newModel();
          const ended = await live(random, first, candidates, files);
          if (ended === undefined) continue;
          const { model, pending } = ended;
          operations += 1;
          files = ended.disk.afterCrash(randomInteger(random, 2) === 0 ? "kill" : "power");
          const next = pending === undefined ? model : after(model, pending);
          // The state is installed before the log is reset: there is no way back.
          candidates = pending?.type === "reset" ? [next] : [model, next, promiseOnly(model, next)];
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
    expect(operations).toBeGreaterThan(SEEDS);
  }, 120_000);

  test("SegmentedLog: a cut at damage survives crashes at every step of it", async () => {
    let cuts = 0;
    for (let seed = 1; seed <= CUT_SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const disk = new FaultyDisk(random);
      const { model, options } = await writeSome(random, disk);
      disk.rot((path) => path.endsWith(".log"));
      const rotten = disk.afterCrash("power");
      const makeStateDurable = () => Promise.resolve();
      const repair = { type: "refetch" as const, makeStateDurable };
      const opening = { ...options, applied: model.applied, repair };
      for (let step = 1; step <= REPAIR_STEPS; step++) {
        const stopped = new FaultyDisk(random, { crashAtStep: step }, new Map(rotten));
        SegmentedLog.open({ ...opening, disk: stopped }).catch(() => undefined);
        for (let round = 0; round < 20 && !stopped.crashed; round++) await drainMicrotasks();
        const left = stopped.afterCrash(step % 2 === 0 ? "kill" : "power");
        const again = new FaultyDisk(random, {}, left);
        const opened = await SegmentedLog.open({ ...opening, disk: again }).catch(onlyDamage);
        if (opened === undefined) continue;
        const { term, vote } = model.hardState;
        const { hardState, lastIndex, recoverTo = 0 } = opened;
        expect([seed, step, hardState.term, hardState.vote]).toEqual([seed, step, term, vote]);
        expect([seed, Math.max(lastIndex, recoverTo) >= lastOf(model)]).toEqual([seed, true]);
        if (recoverTo > 0) cuts += 1;
      }
    }
    expect(cuts).toBeGreaterThan(CUT_SEEDS);
  }, 120_000);

  test("SegmentedLog: never loses anything silently to a rotten bit", async () => {
    const seen = { whole: 0, cut: 0, refused: 0 };
    for (let seed = 1; seed <= ROT_SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const disk = new FaultyDisk(random);
      const { model, options } = await writeSome(random, disk);
      disk.rot((path) => path.endsWith(".log"));
      const { applied } = model;
      const makeStateDurable = () => Promise.resolve();
      const repair = { type: "refetch" as const, makeStateDurable };
      const opening = { ...options, disk, applied, repair };
      const opened = await SegmentedLog.open(opening).catch((error: unknown) => error);
      if (opened instanceof LogDamagedError) {
        seen.refused += 1;
        continue;
      }
      if (opened instanceof Error) throw opened;
      const {
        hardState,
        lastIndex,
        recoverTo = 0,
        log: again,
      } = opened as Awaited<ReturnType<typeof SegmentedLog.open>>;
      const { term, vote } = model.hardState;
      expect([seed, hardState.term, hardState.vote]).toEqual([seed, term, vote]);
      if (lastIndex === lastOf(model) && recoverTo === 0) seen.whole += 1;
      else {
        seen.cut += 1;
        expect([seed, recoverTo >= lastOf(model)]).toEqual([seed, true]);
      }
      const entries = await again.read((again.base.index + 1) as LogIndex, Infinity);
      for (const entry of entries === "compacted" ? [] : entries) {
        expect(entry).toEqual(model.entries[entry.index - model.base.index - 1] as LogEntry);
      }
    }
    expect(Math.min(seen.whole, seen.cut)).toBeGreaterThan(ROT_SEEDS / 20);
  }, 120_000);
});
