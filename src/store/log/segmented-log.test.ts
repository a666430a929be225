import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../lib/index.ts";
import type { SoloEntry, LogIndex, Term } from "../../raft/index.ts";
import { FaultyDisk } from "../testing/faulty-disk.ts";
import { SEGMENT_HEADER_BYTES } from "./log-frame.ts";
import { LogDamagedError, MAX_SPARE_SEGMENTS, SegmentedLog } from "./segmented-log.ts";

const FIRST = "/log/0000000000000001.log";
const DATA_BYTES = 100;
/** Of a frame with one entry, and where its four bytes of padding begin. */
const FRAME_BYTES = 136;
const PADDING_AT = 132;

const entry = (index: number): SoloEntry => ({
  index: index as LogIndex,
  term: 3 as Term,
  data: new Uint8Array(DATA_BYTES).fill(index),
});

const open = (disk: FaultyDisk, appliedIndex = 0, segmentBytes = 4_096) =>
  SegmentedLog.open({
    disk,
    directory: "/log",
    random: new SeededRandom(9),
    appliedIndex: appliedIndex as LogIndex,
    segmentBytes,
  });

/** A log with entries, one frame each, as files. */
async function filesWith(count: number, segmentBytes?: number): Promise<Map<string, Uint8Array>> {
  const disk = new FaultyDisk(new SeededRandom(1));
  const { log } = await open(disk, 0, segmentBytes);
  for (let index = 1; index <= count; index++) await log.append([entry(index)]);
  return disk.afterCrash("power");
}

const reopen = (files: Map<string, Uint8Array>, appliedIndex = 0) =>
  open(new FaultyDisk(new SeededRandom(2), {}, files), appliedIndex);

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no failure",
    (error: unknown) => error,
  );

describe("SegmentedLog", () => {
  test("SegmentedLog: gives back the entries behind the applied index", async () => {
    const files = await filesWith(5);
    const all = await reopen(files);
    expect(all.entries).toEqual([1, 2, 3, 4, 5].map(entry));
    expect([all.lastIndex, all.lastTerm]).toEqual([5 as LogIndex, 3 as Term]);
    const rest = await reopen(files, 3);
    expect(rest.entries.map((item) => item.index)).toEqual([4, 5] as LogIndex[]);
    const begun = await open(new FaultyDisk(new SeededRandom(1)), 41);
    await begun.log.append([entry(42), entry(43)]);
  });

  test("SegmentedLog: cuts an interrupted write at every byte of it", async () => {
    const files = await filesWith(3);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    const start = SEGMENT_HEADER_BYTES + 2 * FRAME_BYTES;
    expect(bytes.length).toBe(start + FRAME_BYTES);
    for (let length = start; length < start + PADDING_AT; length++) {
      const { log, lastIndex } = await reopen(new Map([[FIRST, bytes.slice(0, length)]]));
      expect(lastIndex).toBe(2 as LogIndex);
      await log.append([entry(3)]);
    }
  });

  test("SegmentedLog: refuses damage at every byte in front of a sound write", async () => {
    const files = await filesWith(3);
    const bytes = files.get(FIRST) ?? new Uint8Array();
    const end = SEGMENT_HEADER_BYTES + FRAME_BYTES + PADDING_AT;
    for (let at = 0; at < end; at++) {
      const padding = at >= SEGMENT_HEADER_BYTES + PADDING_AT && at < end - PADDING_AT;
      if (padding) continue;
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const error = await failure(reopen(new Map([[FIRST, damaged]])));
      const newer = at >= 8 && at < 12;
      if (newer) expect(String(error)).toMatch(/newer version|damaged/);
      else expect(error).toBeInstanceOf(LogDamagedError);
    }
  });

  test("SegmentedLog: refuses a missing segment and a log behind the state", async () => {
    const files = await filesWith(60, 1_024);
    const names = [...files.keys()].sort();
    expect(names.length).toBeGreaterThan(3);
    const gap = new Map(files);
    gap.delete(names[1] ?? "");
    expect(String(await failure(reopen(gap)))).toContain("where 8 is next");
    const late = new Map(files);
    late.delete(names[0] ?? "");
    expect(await failure(reopen(late))).toBeInstanceOf(LogDamagedError);
    expect((await reopen(late, 7)).lastIndex).toBe(60 as LogIndex);
    expect(String(await failure(reopen(files, 61)))).toContain("ends at entry 60, but 61");
  });

  test("SegmentedLog: drops only what is applied, and reuses the files", async () => {
    const disk = new FaultyDisk(new SeededRandom(1));
    const { log } = await open(disk, 0, 1_024);
    for (let index = 1; index <= 100; index++) await log.append([entry(index)]);
    expect(log.segmentCount).toBe(15);
    await log.dropThrough(69 as LogIndex);
    expect(log.segmentCount).toBe(6);
    const spares = async () => (await disk.list("/log")).filter((name) => /spare/.test(name));
    expect((await spares()).length).toBe(MAX_SPARE_SEGMENTS);
    for (let index = 101; index <= 115; index++) await log.append([entry(index)]);
    expect((await spares()).length).toBe(MAX_SPARE_SEGMENTS - 2);
    const { entries } = await reopen(disk.afterCrash("power"), 69);
    expect(entries).toEqual(Array.from({ length: 46 }, (_, index) => entry(70 + index)));
  });
});
