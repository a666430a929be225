import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../lib/index.ts";
import type { HardState, LogEntry, LogIndex, MemberId, Term } from "../../raft/index.ts";
import { DiskFullError } from "../disk.ts";
import { FaultyDisk } from "../testing/faulty-disk.ts";
import { FRAME_HEADER_BYTES } from "./log-frame.ts";
import { EXTENT_BYTES } from "./log-map.ts";
import { LogDamagedError } from "./log-types.ts";
import type { SegmentedLogOptions } from "./log-types.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { SegmentedLog } from "./segmented-log.ts";
import { MAX_SPARE_SEGMENTS, RESERVE_BYTES } from "./segment-files.ts";

const FIRST = "/log/0000000000000001.log";
const DATA_BYTES = 100;
/** Of a frame with one entry, and where its four bytes of padding begin. */
const FRAME_BYTES = FRAME_HEADER_BYTES + 16 + DATA_BYTES + 4;
const PADDING_AT = FRAME_BYTES - 4;
const ORIGIN = { index: 0 as LogIndex, term: 0 as Term };

const entry = (index: number, term = 3): LogEntry => ({
  index: index as LogIndex,
  term: term as Term,
  type: index % 7 === 0 ? "config" : "data",
  data: new Uint8Array(DATA_BYTES).fill(index),
});
const entries = (from: number, to: number, term = 3): LogEntry[] =>
  Array.from({ length: to - from + 1 }, (_, offset) => entry(from + offset, term));
const hard = (term: number, vote: number, commit = 0): HardState => ({
  term: term as Term,
  vote: vote as MemberId | 0,
  commit: commit as LogIndex,
});
const point = (index: number, term = 3) => ({ index: index as LogIndex, term: term as Term });

const refetch = {
  type: "refetch" as const,
  makeStateDurable: (): Promise<void> => Promise.resolve(),
};

const open = (disk: FaultyDisk, options: Partial<SegmentedLogOptions> = {}) =>
  SegmentedLog.open({
    disk,
    directory: "/log",
    random: new SeededRandom(9),
    applied: ORIGIN,
    segmentBytes: 8_192,
    growthBytes: 0,
    ...options,
  });

/** A log with entries, one frame each, as files. */
async function filesWith(count: number, segmentBytes = 8_192): Promise<Map<string, Uint8Array>> {
  const disk = new FaultyDisk(new SeededRandom(1));
  const { log } = await open(disk, { segmentBytes });
  for (let index = 1; index <= count; index++) {
    await log.append({ entries: [entry(index)], hardState: hard(3, 7, index - 1) });
  }
  return disk.afterCrash("power");
}

const diskOf = (files: Map<string, Uint8Array>) => new FaultyDisk(new SeededRandom(2), {}, files);
const reopen = (files: Map<string, Uint8Array>, options: Partial<SegmentedLogOptions> = {}) =>
  open(diskOf(files), options);

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no failure",
    (error: unknown) => error,
  );

const all = (log: SegmentedLog) => log.read((log.base.index + 1) as LogIndex, Infinity);

describe("SegmentedLog", () => {
  test("SegmentedLog: gives back entries, hard state and terms", async () => {
    const { log, ...state } = await reopen(await filesWith(20));
    expect(await all(log)).toEqual(entries(1, 20));
    expect(state.hardState).toEqual(hard(3, 7, 19));
    expect([state.base, state.lastIndex, state.lastTerm]).toEqual([ORIGIN, 20, 3] as never);
    expect(state.tail).toEqual(entries(1, 20));
    expect(log.termAt(0 as LogIndex)).toBe(0 as Term);
    expect(log.termAt(20 as LogIndex)).toBe(3 as Term);
    expect(log.termAt(21 as LogIndex)).toBeUndefined();
    const begun = await open(new FaultyDisk(new SeededRandom(1)), { applied: point(41, 2) });
    expect(begun.hardState).toEqual(hard(2, 0, 41));
    await begun.log.append({ entries: entries(42, 43) });
    expect(await begun.log.read(41 as LogIndex, 1)).toBe("compacted");
  });

  test("SegmentedLog: reads by index and size, over extents and segments", async () => {
    const { log } = await open(new FaultyDisk(new SeededRandom(1)), { segmentBytes: 200_000 });
    for (let index = 1; index <= 4_000; index += 4) {
      await log.append({ entries: entries(index, index + 3) });
    }
    expect(log.segmentCount).toBeGreaterThan(2);
    for (const from of [1, 2, 500, 501, 1_777, 3_999]) {
      const found = await log.read(from as LogIndex, 10 * DATA_BYTES);
      expect(found).toEqual(entries(from, Math.min(4_000, from + 9)));
      expect(await log.read(from as LogIndex, 1)).toEqual([entry(from)]);
    }
    expect(await log.read(4_001 as LogIndex, 1)).toEqual([]);
    const reopened = await open(diskOf(new Map()), { segmentBytes: EXTENT_BYTES });
    expect(reopened.tail).toEqual([]);
  });

  test("SegmentedLog: an append replaces a suffix, over segments and openings", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk, { segmentBytes: 2_048 });
    for (let index = 1; index <= 30; index++) {
      await log.append({ entries: [entry(index)], hardState: hard(3, 0) });
    }
    await log.append({ entries: entries(9, 11, 4), hardState: hard(4, 2) });
    expect(await all(log)).toEqual([...entries(1, 8), ...entries(9, 11, 4)]);
    expect(log.termAt(9 as LogIndex)).toBe(4 as Term);
    expect(log.termAt(12 as LogIndex)).toBeUndefined();
    await log.append({ entries: entries(11, 20, 5), hardState: hard(5, 2) });
    await log.append({ entries: entries(21, 24, 5) });
    const expected = [...entries(1, 8), ...entries(9, 10, 4), ...entries(11, 24, 5)];
    expect(await all(log)).toEqual(expected);
    const again = await open(diskOf(disk.afterCrash("power")), { segmentBytes: 2_048 });
    expect(await all(again.log)).toEqual(expected);
    expect(again.hardState).toEqual(hard(5, 2, 0));
    expect(again.log.termAt(10 as LogIndex)).toBe(4 as Term);
    await again.log.append({ entries: entries(2, 3, 6), hardState: hard(6, 0) });
    expect(await all(again.log)).toEqual([entry(1), ...entries(2, 3, 6)]);
  });

  test("SegmentedLog: a moved commit index is no write, and rides with the next", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk);
    await log.append({ entries: entries(1, 5), hardState: hard(3, 1) });
    const { steps } = disk;
    await log.append({ entries: [], hardState: hard(3, 1, 5) });
    expect(disk.steps).toBe(steps);
    await log.append({ entries: entries(6, 6) });
    expect(disk.steps).toBe(steps + 1);
    await log.append({ entries: [], hardState: hard(4, 9, 6) });
    expect(disk.steps).toBe(steps + 2);
    const { hardState } = await reopen(disk.afterCrash("power"));
    expect(hardState).toEqual(hard(4, 9, 6));
  });

  test("SegmentedLog: cuts an interrupted write at every byte of it", async () => {
    const files = await filesWith(3);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    const start = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 2 * FRAME_BYTES;
    expect(bytes.length).toBe(start + FRAME_BYTES);
    for (let length = start; length < start + PADDING_AT; length++) {
      const { log, lastIndex, hardState } = await reopen(
        new Map([[FIRST, bytes.slice(0, length)]]),
      );
      expect(lastIndex).toBe(2 as LogIndex);
      expect(hardState).toEqual(hard(3, 7, 1));
      await log.append({ entries: [entry(3)] });
    }
  });

  test("SegmentedLog: refuses damage at every byte in front of a sound write", async () => {
    const files = await filesWith(3);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    const firstFrame = SEGMENT_HEADER_BYTES;
    const echo = firstFrame + FRAME_BYTES;
    const end = echo + FRAME_HEADER_BYTES + PADDING_AT;
    for (let at = 0; at < end; at++) {
      const padding = at >= firstFrame + PADDING_AT && at < echo;
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const opening = reopen(new Map([[FIRST, damaged]]));
      // The header stands there twice.
      if (at < firstFrame || padding) expect((await opening).lastIndex).toBe(3 as LogIndex);
      else expect(await failure(opening)).toBeInstanceOf(LogDamagedError);
    }
    const damaged = bytes.slice().fill(1, 0, SEGMENT_HEADER_BYTES);
    const error = await failure(reopen(new Map([[FIRST, damaged]])));
    expect(error).toMatchObject({ name: "LogDamagedError", file: FIRST, offset: 0 });
  });

  test("SegmentedLog: a vote outlives damage of the write that made it", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk);
    await log.append({ entries: entries(1, 2), hardState: hard(3, 1) });
    const file = await disk.open(FIRST);
    const start = await file.size();
    await log.append({ entries: [], hardState: hard(8, 5) });
    const end = await file.size();
    const bytes = disk.afterCrash("power").get(FIRST) ?? new Uint8Array();
    for (let at = start; at < end; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x80;
      const again = diskOf(new Map([[FIRST, damaged]]));
      const opened = await open(again);
      expect(opened.hardState).toEqual(hard(8, 5));
      await opened.log.append({ entries: entries(3, 4, 8) });
      const third = await reopen(again.afterCrash("power"));
      expect(third.hardState).toEqual(hard(8, 5));
      expect(third.lastIndex).toBe(4 as LogIndex);
    }
  });

  test("SegmentedLog: damage of the last write is found when the log was closed", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk);
    await log.append({ entries: entries(1, 3), hardState: hard(3, 1) });
    await log.append({ entries: entries(4, 4) });
    await log.close();
    const bytes = disk.afterCrash("power").get(FIRST) ?? new Uint8Array();
    bytes[bytes.length - FRAME_HEADER_BYTES - 20] = 77;
    expect(await failure(reopen(new Map([[FIRST, bytes]])))).toBeInstanceOf(LogDamagedError);
  });

  test("SegmentedLog: refuses a missing segment and a log behind the state", async () => {
    const files = await filesWith(60, 2_048);
    const names = [...files.keys()].filter((name) => name.endsWith(".log")).sort();
    expect(names.length).toBeGreaterThan(3);
    const gap = new Map(files);
    gap.delete(names[1] ?? "");
    expect(String(await failure(reopen(gap)))).toMatch(/begins at entry \d+ where \d+ is next/);
    const late = new Map(files);
    late.delete(names[0] ?? "");
    expect(await failure(reopen(late))).toBeInstanceOf(LogDamagedError);
    expect((await reopen(late, { applied: point(7) })).lastIndex).toBe(60 as LogIndex);
    const behind = await failure(reopen(files, { applied: point(61) }));
    expect(String(behind)).toContain("ends at entry 60 of term 3, but 61 of term 3");
  });

  test("SegmentedLog: begins anew at an installed state that it does not reach", async () => {
    const files = await filesWith(60, 2_048);
    const disk = diskOf(files);
    const options = { applied: point(100, 4), installed: true };
    const { log, hardState, lastIndex } = await open(disk, options);
    expect([lastIndex, hardState]).toEqual([100, hard(4, 0, 100)] as never);
    await log.append({ entries: entries(101, 102, 4) });
    const again = await reopen(disk.afterCrash("power"), options);
    expect(await all(again.log)).toEqual(entries(101, 102, 4));
  });

  test("SegmentedLog: drops only what is applied, and reuses the files", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk, { segmentBytes: 2_048 });
    const append = (index: number) =>
      log.append({ entries: [entry(index)], hardState: hard(3, 1, index - 1) });
    for (let index = 1; index <= 100; index++) await append(index);
    const before = log.segmentCount;
    expect(before).toBeGreaterThan(15);
    await log.dropThrough(69 as LogIndex);
    expect(log.segmentCount).toBeLessThan(before / 2);
    expect(log.base.index).toBeLessThanOrEqual(69);
    expect(log.termAt(log.base.index)).toBe(3 as Term);
    const spares = async () => (await disk.list("/log")).filter((name) => /spare/.test(name));
    expect((await spares()).length).toBe(MAX_SPARE_SEGMENTS);
    for (let index = 101; index <= 110; index++) await append(index);
    expect((await spares()).length).toBeLessThan(MAX_SPARE_SEGMENTS);
    const { base } = log;
    const again = await reopen(disk.afterCrash("power"), { applied: point(69) });
    expect(again.base).toEqual(base);
    expect(await all(again.log)).toEqual(entries(base.index + 1, 110));
  });

  test("SegmentedLog: a reset begins the log behind the point, and keeps the vote", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk, { segmentBytes: 2_048 });
    await log.append({ entries: entries(1, 40), hardState: hard(3, 9) });
    await log.reset(point(500, 6));
    expect([log.base, log.lastIndex]).toEqual([point(500, 6), 500] as never);
    expect(await log.read(40 as LogIndex, 1)).toBe("compacted");
    await log.append({ entries: entries(501, 502, 6), hardState: hard(6, 2, 500) });
    await log.reset(point(510, 6));
    const again = await reopen(disk.afterCrash("power"), { applied: point(510, 6) });
    expect([again.base, again.hardState]).toEqual([point(510, 6), hard(6, 2, 510)] as never);
  });
});

describe("SegmentedLog with peers", () => {
  test("SegmentedLog: is cut at damage, and tells how far it went", async () => {
    const files = await filesWith(60, 4_096);
    const names = [...files.keys()].filter((name) => name.endsWith(".log")).sort();
    for (const name of names.slice(0, -1)) {
      const damaged = new Map([...files].map(([path, bytes]) => [path, bytes.slice()]));
      const bytes = damaged.get(name) ?? new Uint8Array();
      bytes[SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 5 * FRAME_BYTES] = 99;
      const disk = diskOf(damaged);
      const opened = await open(disk, { repair: refetch });
      expect(opened.lastIndex).toBeLessThan(60);
      expect(opened.recoverTo).toBe(60 as LogIndex);
      expect(opened.hardState).toEqual(hard(3, 7, opened.lastIndex));
      expect(await all(opened.log)).toEqual(entries(1, opened.lastIndex));
      await opened.log.append({ entries: entries(opened.lastIndex + 1, 59) });
      const again = await open(diskOf(disk.afterCrash("power")), { repair: refetch });
      expect([again.lastIndex, again.recoverTo]).toEqual([59, 60] as never);
      await again.log.append({ entries: entries(60, 61) });
      expect(await all(again.log)).toEqual(entries(1, 61));
    }
  });

  test("SegmentedLog: recovers nothing once everything came back", async () => {
    const files = await filesWith(10);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    bytes[SEGMENT_HEADER_BYTES + FRAME_BYTES * 4] = 99;
    const disk = diskOf(files);
    const opened = await open(disk, { repair: refetch });
    expect(opened.recoverTo).toBe(10 as LogIndex);
    await opened.log.append({ entries: entries(opened.lastIndex + 1, 10) });
    const again = await reopen(disk.afterCrash("power"));
    expect(again.recoverTo).toBeUndefined();
  });

  test("SegmentedLog: damage of what is applied leaves the state alone in charge", async () => {
    const files = await filesWith(10);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    bytes[SEGMENT_HEADER_BYTES + FRAME_BYTES * 4] = 99;
    let durable = 0;
    const makeStateDurable = () => {
      durable += 1;
      return Promise.resolve();
    };
    const options = { applied: point(8), repair: { ...refetch, makeStateDurable } };
    const opened = await reopen(files, options);
    expect([opened.base, opened.recoverTo, durable]).toEqual([point(8), 10, 1] as never);
  });

  test("SegmentedLog: a newest segment that nobody can read is refused all the same", async () => {
    const files = await filesWith(60, 4_096);
    const last =
      [...files.keys()]
        .filter((name) => name.endsWith(".log"))
        .sort()
        .at(-1) ?? "";
    files.get(last)?.fill(3, 0, SEGMENT_HEADER_BYTES);
    const error = await failure(reopen(files, { repair: refetch }));
    expect(error).toMatchObject({ name: "LogDamagedError", file: last, offset: 0 });
    expect(String(error)).toContain("remove this member and join it anew");
  });
});

describe("SegmentedLog on a full disk", () => {
  test("SegmentedLog: a refused append leaves no trace, and later ones work", async () => {
    const disk = new FaultyDisk(new SeededRandom(4));
    const { log } = await open(disk);
    await log.append({ entries: entries(1, 3), hardState: hard(3, 1) });
    disk.fill();
    for (let round = 0; round < 3; round++) {
      const refusal = await failure(log.append({ entries: entries(4, 9) }));
      expect(refusal).toBeInstanceOf(DiskFullError);
    }
    expect(log.lastIndex).toBe(3 as LogIndex);
    const meanwhile = await reopen(new Map(disk.files()));
    expect(await all(meanwhile.log)).toEqual(entries(1, 3));
    disk.free();
    await log.append({ entries: entries(4, 5) });
    const again = await reopen(disk.afterCrash("power"));
    expect(await all(again.log)).toEqual(entries(1, 5));
  });

  test("SegmentedLog: grows ahead of what is written, unless there is no space", async () => {
    const disk = new FaultyDisk(new SeededRandom(4));
    const { log } = await open(disk, { segmentBytes: 8_192, growthBytes: 2_048 });
    const lengthOf = (): number => new Map(disk.files()).get(FIRST)?.length ?? 0;
    await log.append({ entries: [entry(1)], hardState: hard(3, 1) });
    const grown = lengthOf();
    expect(grown % 2_048).toBe(0);
    await log.append({ entries: [entry(2)] });
    expect(lengthOf()).toBe(grown);
    disk.fill();
    let last = 2;
    // What is grown already can be written; then nothing can.
    while ((await failure(log.append({ entries: [entry(last + 1)] }))) === "no failure") last++;
    expect(last).toBeGreaterThan(2);
    disk.free();
    await log.append({ entries: entries(last + 1, last + 3) });
    const again = await reopen(disk.afterCrash("power"));
    expect(await all(again.log)).toEqual(entries(1, last + 3));
  });

  test("SegmentedLog: votes are kept without space; the reserve comes back with it", async () => {
    const disk = new FaultyDisk(new SeededRandom(4));
    const { log } = await open(disk, { segmentBytes: RESERVE_BYTES });
    await log.append({ entries: entries(1, 3), hardState: hard(3, 1) });
    disk.fill();
    expect(await failure(log.append({ entries: entries(4, 4) }))).toBeInstanceOf(DiskFullError);
    for (let term = 4; term < 200; term++) {
      await log.append({ entries: [], hardState: hard(term, 2) });
    }
    const meanwhile = await reopen(new Map(disk.files()));
    expect(meanwhile.hardState).toEqual(hard(199, 2));
    expect(await all(meanwhile.log)).toEqual(entries(1, 3));
    disk.free();
    await log.append({ entries: entries(4, 500) });
    expect(await disk.list("/log")).toContain("reserve");
    const again = await reopen(disk.afterCrash("power"));
    expect(await all(again.log)).toEqual(entries(1, 500));
  });

  test("SegmentedLog: any other failed write is final", async () => {
    const disk = new FaultyDisk(new SeededRandom(4));
    const { log } = await open(disk);
    disk.failSyncs();
    const refusal = await failure(log.append({ entries: entries(1, 3) }));
    expect(refusal).toMatchObject({ code: "EIO" });
    disk.heal();
    const { steps } = disk;
    expect(String(await failure(log.append({ entries: entries(1, 3) })))).toContain("has failed");
    await log.close();
    expect(disk.steps).toBe(steps);
  });
});
