import type { Buffer } from "node:buffer";
import type { LogEntry, LogIndex, Term } from "../../raft/index.ts";
import { alignFrame, checksum } from "./log-checksum.ts";
import type { Frame } from "./log-frame.ts";

/**
 * Frames of the first release, which are read and never written: data entries only, no hard state.
 *
 *     frame    magic u32 · checksum u32 · payload bytes u32 · entries u32 · first index u64 …
 *     payload  per entry: term u32 · data bytes u32 · data
 */
const FRAME_MAGIC = 0x4d46424b;
const FRAME_HEADER_BYTES = 24;
const ENTRY_HEADER_BYTES = 8;

export function decodeFirstFrame(segment: Buffer, offset: number, salt: bigint): Frame | undefined {
  const start = offset + FRAME_HEADER_BYTES;
  if (start > segment.length || segment.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
  const end = start + segment.readUInt32LE(offset + 8);
  if (end > segment.length) return undefined;
  const sum = checksum(segment.subarray(offset + 8, end), salt);
  if (sum !== segment.readUInt32LE(offset + 4)) return undefined;
  const count = segment.readUInt32LE(offset + 12);
  const firstIndex = Number(segment.readBigUInt64LE(offset + 16)) as LogIndex;
  const entries: LogEntry[] = [];
  for (let number = 0, at = start; number < count; number++) {
    const dataStart = at + ENTRY_HEADER_BYTES;
    const dataEnd = dataStart + segment.readUInt32LE(at + 4);
    entries.push({
      index: (firstIndex + number) as LogIndex,
      term: segment.readUInt32LE(at) as Term,
      type: "data",
      data: segment.subarray(dataStart, dataEnd),
    });
    at = dataEnd;
  }
  return { entries, firstIndex, echo: false, end: alignFrame(end) };
}
