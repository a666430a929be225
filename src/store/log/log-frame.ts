import { Buffer } from "node:buffer";
import type { SoloEntry, LogIndex, Term } from "../../raft/index.ts";

/**
 * A segment is a header and frames; a frame is what one durable write appended, aligned to 8 bytes:
 *
 *     header   "KUBUNLOG" · version u32 · checksum u32 · first index u64 · salt u64 · zeros to 64
 *     frame    magic u32 · checksum u32 · payload bytes u32 · entries u32 · first index u64 …
 *     payload  per entry: term u32 · data bytes u32 · data
 *
 * Checksums are seeded with the segment's salt: what an earlier life of a recycled file left behind
 * does not verify, nor does a value that somebody stored to look like a frame. Little endian.
 */
export const SEGMENT_HEADER_BYTES = 64;
export const FRAME_HEADER_BYTES = 24;
export const FRAME_ALIGNMENT = 8;
const ENTRY_HEADER_BYTES = 8;

const SEGMENT_MAGIC = "KUBUNLOG";
const SEGMENT_VERSION = 1;
const FRAME_MAGIC = 0x4d46424b;

export interface SegmentHeader {
  /** Index of the first entry that is or will be in the segment. */
  readonly firstIndex: LogIndex;
  /** Random; different in every life of the file. */
  readonly salt: bigint;
}

export interface Frame {
  readonly entries: readonly SoloEntry[];
  /** Where the next frame begins. */
  readonly end: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.write(SEGMENT_MAGIC, 0, "latin1");
  bytes.writeUInt32LE(SEGMENT_VERSION, 8);
  bytes.writeBigUInt64LE(BigInt(header.firstIndex), 16);
  bytes.writeBigUInt64LE(header.salt, 24);
  bytes.writeUInt32LE(checksum(bytes.subarray(16), 0n), 12);
  return bytes;
}

/** @returns undefined when the bytes are no sound header; a string when of a newer version. */
export function decodeSegmentHeader(segment: Buffer): SegmentHeader | "newer" | undefined {
  if (segment.length < SEGMENT_HEADER_BYTES) return undefined;
  if (segment.toString("latin1", 0, SEGMENT_MAGIC.length) !== SEGMENT_MAGIC) return undefined;
  if (segment.readUInt32LE(8) > SEGMENT_VERSION) return "newer";
  const sum = checksum(segment.subarray(16, SEGMENT_HEADER_BYTES), 0n);
  if (segment.readUInt32LE(12) !== sum) return undefined;
  const firstIndex = Number(segment.readBigUInt64LE(16)) as LogIndex;
  return { firstIndex, salt: segment.readBigUInt64LE(24) };
}

export function frameBytes(entries: readonly SoloEntry[]): number {
  let bytes = FRAME_HEADER_BYTES;
  for (const entry of entries) bytes += ENTRY_HEADER_BYTES + entry.data.length;
  return align(bytes);
}

/** @param entries at least one, with consecutive indexes */
export function encodeFrame(entries: readonly SoloEntry[], salt: bigint): Uint8Array {
  const bytes = Buffer.allocUnsafe(frameBytes(entries));
  let at = FRAME_HEADER_BYTES;
  for (const entry of entries) {
    bytes.writeUInt32LE(entry.term, at);
    bytes.writeUInt32LE(entry.data.length, at + 4);
    bytes.set(entry.data, at + ENTRY_HEADER_BYTES);
    at += ENTRY_HEADER_BYTES + entry.data.length;
  }
  bytes.writeUInt32LE(FRAME_MAGIC, 0);
  bytes.writeUInt32LE(at - FRAME_HEADER_BYTES, 8);
  bytes.writeUInt32LE(entries.length, 12);
  bytes.writeBigUInt64LE(BigInt(entries[0]?.index ?? 0), 16);
  bytes.writeUInt32LE(checksum(bytes.subarray(8, at), salt), 4);
  bytes.fill(0, at);
  return bytes;
}

/** The frame at an offset; undefined when there is no sound one. */
export function decodeFrame(segment: Buffer, offset: number, salt: bigint): Frame | undefined {
  const start = offset + FRAME_HEADER_BYTES;
  if (start > segment.length || segment.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
  const end = start + segment.readUInt32LE(offset + 8);
  if (end > segment.length) return undefined;
  const sum = checksum(segment.subarray(offset + 8, end), salt);
  if (sum !== segment.readUInt32LE(offset + 4)) return undefined;
  const count = segment.readUInt32LE(offset + 12);
  const firstIndex = Number(segment.readBigUInt64LE(offset + 16));
  const entries: SoloEntry[] = [];
  for (let number = 0, at = start; number < count; number++) {
    const dataStart = at + ENTRY_HEADER_BYTES;
    const dataEnd = dataStart + segment.readUInt32LE(at + 4);
    entries.push({
      index: (firstIndex + number) as LogIndex,
      term: segment.readUInt32LE(at) as Term,
      data: segment.subarray(dataStart, dataEnd),
    });
    at = dataEnd;
  }
  return { entries, end: align(end) };
}

/** The offset of the first sound frame behind an unsound one; undefined when there is none. */
export function findFrame(segment: Buffer, from: number, salt: bigint): number | undefined {
  for (let offset = align(from); offset + FRAME_HEADER_BYTES <= segment.length;) {
    if (segment.readUInt32LE(offset) === FRAME_MAGIC) {
      if (decodeFrame(segment, offset, salt) !== undefined) return offset;
    }
    offset += FRAME_ALIGNMENT;
  }
  return undefined;
}

function align(bytes: number): number {
  return Math.ceil(bytes / FRAME_ALIGNMENT) * FRAME_ALIGNMENT;
}

function checksum(bytes: Uint8Array, salt: bigint): number {
  return Number(Bun.hash.xxHash64(bytes, salt) & 0xffff_ffffn);
}
