import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../lib/index.ts";
import type { LogEntry, LogIndex, MemberId, Term } from "../../raft/index.ts";
import { FaultyDisk } from "../testing/faulty-disk.ts";
import { alignFrame, checksum } from "./log-checksum.ts";
import { LogDamagedError } from "./log-types.ts";
import { SegmentedLog } from "./segmented-log.ts";

const SALT = 0x1234_5678n;

const entry = (index: number): LogEntry => ({
  index: index as LogIndex,
  term: 2 as Term,
  type: "data",
  data: new Uint8Array(40).fill(index),
});

function header(firstIndex: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("KUBUNLOG", 0, "latin1");
  bytes.writeUInt32LE(1, 8);
  bytes.writeBigUInt64LE(BigInt(firstIndex), 16);
  bytes.writeBigUInt64LE(SALT, 24);
  bytes.writeUInt32LE(checksum(bytes.subarray(16), 0n), 12);
  return bytes;
}

function frame(entries: readonly LogEntry[]): Buffer {
  const payload = Buffer.concat(
    entries.map((item) => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(item.term, 0);
      head.writeUInt32LE(item.data.length, 4);
      return Buffer.concat([head, item.data]);
    }),
  );
  const bytes = Buffer.alloc(alignFrame(24 + payload.length));
  bytes.writeUInt32LE(0x4d46424b, 0);
  bytes.writeUInt32LE(payload.length, 8);
  bytes.writeUInt32LE(entries.length, 12);
  bytes.writeBigUInt64LE(BigInt(entries[0]?.index ?? 0), 16);
  payload.copy(bytes, 24);
  bytes.writeUInt32LE(checksum(bytes.subarray(8, 24 + payload.length), SALT), 4);
  return bytes;
}

/** What the first release left: entries 11–16 in two segments, with leftovers behind them. */
function firstRelease(): Map<string, Uint8Array> {
  const torn = frame([entry(17)]).subarray(0, 50);
  const first = Buffer.concat([header(11), frame([entry(11), entry(12)]), frame([entry(13)])]);
  const second = Buffer.concat([header(14), frame([14, 15, 16].map(entry)), torn]);
  return new Map<string, Uint8Array>([
    ["/log/0000000000000011.log", first],
    ["/log/0000000000000014.log", second],
    ["/log/spare-0000000000000001", new Uint8Array(2_000).fill(7)],
  ]);
}

const open = (disk: FaultyDisk, applied: number) =>
  SegmentedLog.open({
    disk,
    directory: "/log",
    random: new SeededRandom(3),
    applied: { index: applied as LogIndex, term: 2 as Term },
  });

describe("decodeFirstFrame", () => {
  for (const applied of [10, 12, 13, 14, 16]) {
    test(`decodeFirstFrame: a log of the first release opens behind entry ${applied}`, async () => {
      const disk = new FaultyDisk(new SeededRandom(1), {}, firstRelease());
      const { log, hardState, lastIndex } = await open(disk, applied);
      expect(lastIndex).toBe(16 as LogIndex);
      expect(hardState).toEqual({ term: 2 as Term, vote: 0, commit: 16 as LogIndex });
      const rest = await log.read((applied + 1) as LogIndex, Infinity);
      expect(rest).toEqual([11, 12, 13, 14, 15, 16].filter((index) => index > applied).map(entry));
      expect(log.termAt(applied as LogIndex)).toBe(2 as Term);
      const voted = { term: 3 as Term, vote: 8 as MemberId, commit: 16 as LogIndex };
      await log.append({ entries: [{ ...entry(17), term: 3 as Term }], hardState: voted });
      const again = await open(
        new FaultyDisk(new SeededRandom(1), {}, disk.afterCrash("power")),
        applied,
      );
      expect([again.lastIndex, again.hardState]).toEqual([17, voted] as never);
      await again.log.dropThrough(16 as LogIndex);
      expect(again.log.segmentCount).toBe(1);
    });
  }

  test("decodeFirstFrame: damage in a log of the first release is refused", async () => {
    const files = firstRelease();
    const name = "/log/0000000000000011.log";
    for (let at = 0; at < 64 + 24 + 96; at++) {
      const bytes = files.get(name)?.slice() ?? new Uint8Array();
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const disk = new FaultyDisk(new SeededRandom(1), {}, new Map([...files, [name, bytes]]));
      const error = await open(disk, 10).catch((refusal: unknown) => refusal);
      const newer = at === 8 || at === 9;
      if (newer) expect(String(error)).toMatch(/newer version|damaged/);
      else expect(error).toBeInstanceOf(LogDamagedError);
    }
  });
});
