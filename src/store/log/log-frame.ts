import { Buffer } from "node:buffer";
import type { HardState, LogEntry, LogIndex, Term } from "../../raft/index.ts";
import { decodeFirstFrame } from "./first-format.ts";
import { readHardState, writeHardState } from "./hard-state-codec.ts";
import { hasHardState } from "./segment-header.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { alignFrame, checksum } from "./log-checksum.ts";

/**
 * A frame is what one durable write appended, aligned to 8 bytes (little endian):
 *
 *     frame    magic u32 · checksum u32 · payload bytes u32 · entries u32 · first index u64
 *              term u64 · vote u64 · commit u64 · flags u32 · zero u32
 *     payload  per entry: term u64 · type u32 · data bytes u32 · data
 *
 * Every frame carries the whole hard state, so that any sound frame says what was promised before
 * it, whatever became of the frames in front. Without entries "first index" is the next one.
 *
 * Checksums are seeded with the segment's salt: what an earlier life of a recycled file left behind
 * does not verify, nor does a value that somebody stored to look like a frame.
 */
export const FRAME_HEADER_BYTES = 56;
const ENTRY_HEADER_BYTES = 16;
const FRAME_MAGIC = 0x324b424b;
const ECHO = 1;
const TYPES = ["data", "config"] as const;

export interface Frame {
  readonly entries: readonly LogEntry[];
  /** Of the first entry, or of the one that comes next when there is none. */
  readonly firstIndex: LogIndex;
  /** Absent in the format of the first release. */
  readonly hardState?: HardState;
  /** Repeats the hard state of the frame before it, in the same write: see encodeAppend. */
  readonly echo: boolean;
  /** Where the next frame begins. */
  readonly end: number;
}

export interface FrameContent {
  readonly entries: readonly LogEntry[];
  readonly firstIndex: LogIndex;
  readonly hardState: HardState;
}

export interface EncodedAppend {
  readonly bytes: Uint8Array;
  /** Of the frame with the entries; what is behind it is the echo. */
  readonly frameBytes: number;
}

/**
 * One write. A new term or vote is written twice: the end of the log may be an interrupted write or
 * a damaged one, nobody can tell which, and a vote must not be forgotten either way.
 */
export function encodeAppend(
  content: FrameContent,
  format: { readonly salt: bigint; readonly echo: boolean },
): EncodedAppend {
  const { entries, hardState, firstIndex } = content;
  let size = FRAME_HEADER_BYTES;
  for (const entry of entries) size += ENTRY_HEADER_BYTES + entry.data.length;
  const frameBytes = alignFrame(size);
  const bytes = Buffer.allocUnsafe(frameBytes + (format.echo ? FRAME_HEADER_BYTES : 0));
  let at = FRAME_HEADER_BYTES;
  for (const entry of entries) {
    bytes.writeBigUInt64LE(BigInt(entry.term), at);
    bytes.writeUInt32LE(TYPES.indexOf(entry.type ?? "data"), at + 8);
    bytes.writeUInt32LE(entry.data.length, at + 12);
    bytes.set(entry.data, at + ENTRY_HEADER_BYTES);
    at += ENTRY_HEADER_BYTES + entry.data.length;
  }
  bytes.fill(0, at, frameBytes);
  const frame = bytes.subarray(0, at);
  writeFrameHeader(frame, { count: entries.length, firstIndex, hardState, flags: 0 }, format.salt);
  if (format.echo) {
    const next = (firstIndex + entries.length) as LogIndex;
    const echo = bytes.subarray(frameBytes);
    writeFrameHeader(echo, { count: 0, firstIndex: next, hardState, flags: ECHO }, format.salt);
  }
  return { bytes, frameBytes };
}

function writeFrameHeader(
  frame: Buffer,
  header: { count: number; firstIndex: LogIndex; hardState: HardState; flags: number },
  salt: bigint,
): void {
  const { count, firstIndex, hardState, flags } = header;
  frame.writeUInt32LE(FRAME_MAGIC, 0);
  frame.writeUInt32LE(frame.length - FRAME_HEADER_BYTES, 8);
  frame.writeUInt32LE(count, 12);
  frame.writeBigUInt64LE(BigInt(firstIndex), 16);
  writeHardState(frame, 24, hardState);
  frame.writeUInt32LE(flags, 48);
  frame.writeUInt32LE(0, 52);
  frame.writeUInt32LE(checksum(frame.subarray(8), salt), 4);
}

/** The frame at an offset; undefined when there is no sound one. */
export function decodeFrame(
  bytes: Buffer,
  offset: number,
  header: SegmentHeader,
): Frame | undefined {
  if (!hasHardState(header)) return decodeFirstFrame(bytes, offset, header.salt);
  const start = offset + FRAME_HEADER_BYTES;
  if (start > bytes.length || bytes.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
  const end = start + bytes.readUInt32LE(offset + 8);
  if (end > bytes.length) return undefined;
  const sum = checksum(bytes.subarray(offset + 8, end), header.salt);
  if (sum !== bytes.readUInt32LE(offset + 4)) return undefined;
  const firstIndex = Number(bytes.readBigUInt64LE(offset + 16)) as LogIndex;
  return {
    entries: decodeEntries(bytes, start, { count: bytes.readUInt32LE(offset + 12), firstIndex }),
    firstIndex,
    hardState: readHardState(bytes, offset + 24),
    echo: (bytes.readUInt32LE(offset + 48) & ECHO) !== 0,
    end: alignFrame(end),
  };
}

function decodeEntries(
  bytes: Buffer,
  start: number,
  header: { count: number; firstIndex: LogIndex },
): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let number = 0, at = start; number < header.count; number++) {
    const dataStart = at + ENTRY_HEADER_BYTES;
    const dataEnd = dataStart + bytes.readUInt32LE(at + 12);
    entries.push({
      index: (header.firstIndex + number) as LogIndex,
      term: Number(bytes.readBigUInt64LE(at)) as Term,
      type: TYPES[bytes.readUInt32LE(at + 8)] ?? "data",
      data: bytes.subarray(dataStart, dataEnd),
    });
    at = dataEnd;
  }
  return entries;
}

/** The first sound frame behind an unsound one; undefined when there is none. */
export function findFrame(
  bytes: Buffer,
  from: number,
  header: SegmentHeader,
): { readonly offset: number; readonly frame: Frame } | undefined {
  for (let offset = alignFrame(from); offset < bytes.length; offset = alignFrame(offset + 1)) {
    const frame = decodeFrame(bytes, offset, header);
    if (frame !== undefined) return { offset, frame };
  }
  return undefined;
}
