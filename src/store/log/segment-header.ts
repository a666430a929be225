import { Buffer } from "node:buffer";
import type { HardState, LogIndex, Term } from "../../raft/index.ts";
import { checksum } from "./log-checksum.ts";
import { readHardState, writeHardState } from "./hard-state-codec.ts";

/**
 * A segment is a header and frames (see log-frame.ts). The header stands there twice, a sector
 * apart, because without its salt no frame of the segment can be told from rubbish:
 *
 *     "KUBUNLOG" · version u16 · kind u16 · checksum u32 · first index u64 · salt u64
 *     previous term u64 · term u64 · vote u64 · commit u64 · recover to u64 · zeros to 512
 *
 * Version 1, of the first release, has 64 bytes, ends with the salt and stands there once.
 */
const COPY_BYTES = 512;
const SUMMED_FROM = 16;
const FIRST_FORMAT_BYTES = 64;
export const SEGMENT_HEADER_BYTES = 2 * COPY_BYTES;

const SEGMENT_MAGIC = "KUBUNLOG";
export const SEGMENT_VERSION = 2;
const KINDS = ["next", "reset", "cut"] as const;

/**
 * next: follows the segment before. reset: the log begins here, whatever segments there are before.
 * cut: what earlier segments hold from `firstIndex` on is void, and perhaps damaged.
 */
export type SegmentKind = (typeof KINDS)[number];

interface AnyHeader {
  /** One behind the log's last index when the segment began; what it holds may replace more. */
  readonly firstIndex: LogIndex;
  /** Random; different in every life of the file. */
  readonly salt: bigint;
}

export interface FirstSegmentHeader extends AnyHeader {
  readonly version: 1;
}

export interface CurrentSegmentHeader extends AnyHeader {
  readonly version: typeof SEGMENT_VERSION;
  readonly kind: SegmentKind;
  /** Of the entry before `firstIndex`. */
  readonly previousTerm: Term;
  /** As of the moment at which the segment began. */
  readonly hardState: HardState;
  /** Entries up to here were lost to damage and have to come back; 0 when none were. */
  readonly recoverTo: LogIndex | 0;
}

export type SegmentHeader = FirstSegmentHeader | CurrentSegmentHeader;

export function hasHardState(header: SegmentHeader): header is CurrentSegmentHeader {
  return header.version !== 1;
}

/** Where the first frame begins. */
export function headerBytes(header: SegmentHeader): number {
  return header.version === 1 ? FIRST_FORMAT_BYTES : SEGMENT_HEADER_BYTES;
}

export function encodeSegmentHeader(header: Omit<CurrentSegmentHeader, "version">): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const copy = bytes.subarray(0, COPY_BYTES);
  copy.write(SEGMENT_MAGIC, 0, "latin1");
  copy.writeUInt16LE(SEGMENT_VERSION, 8);
  copy.writeUInt16LE(KINDS.indexOf(header.kind), 10);
  copy.writeBigUInt64LE(BigInt(header.firstIndex), 16);
  copy.writeBigUInt64LE(header.salt, 24);
  copy.writeBigUInt64LE(BigInt(header.previousTerm), 32);
  writeHardState(copy, 40, header.hardState);
  copy.writeBigUInt64LE(BigInt(header.recoverTo), 64);
  copy.writeUInt32LE(sumOf(copy), 12);
  bytes.copy(bytes, COPY_BYTES, 0, COPY_BYTES);
  return bytes;
}

/** @returns undefined when no copy of the header is sound; "newer" when of a newer version. */
export function decodeSegmentHeader(segment: Buffer): SegmentHeader | "newer" | undefined {
  const first = decodeCopy(segment.subarray(0, COPY_BYTES));
  if (first !== undefined && first !== "newer") return first;
  const second = decodeCopy(segment.subarray(COPY_BYTES, SEGMENT_HEADER_BYTES));
  return second === undefined || second === "newer" || second.version === 1 ? first : second;
}

function decodeCopy(copy: Buffer): SegmentHeader | "newer" | undefined {
  if (copy.length < FIRST_FORMAT_BYTES) return undefined;
  if (copy.toString("latin1", 0, SEGMENT_MAGIC.length) !== SEGMENT_MAGIC) return undefined;
  const version = copy.readUInt16LE(8);
  if (version > SEGMENT_VERSION) return "newer";
  if (version === 1) return decodeFirst(copy.subarray(0, FIRST_FORMAT_BYTES));
  if (copy.length < COPY_BYTES || copy.readUInt32LE(12) !== sumOf(copy)) return undefined;
  const kind = KINDS[copy.readUInt16LE(10)];
  if (kind === undefined) return undefined;
  return {
    version: SEGMENT_VERSION,
    kind,
    firstIndex: Number(copy.readBigUInt64LE(16)) as LogIndex,
    salt: copy.readBigUInt64LE(24),
    previousTerm: Number(copy.readBigUInt64LE(32)) as Term,
    hardState: readHardState(copy, 40),
    recoverTo: Number(copy.readBigUInt64LE(64)) as LogIndex | 0,
  };
}

function decodeFirst(copy: Buffer): FirstSegmentHeader | undefined {
  if (copy.readUInt16LE(10) !== 0) return undefined;
  if (copy.readUInt32LE(12) !== checksum(copy.subarray(SUMMED_FROM), 0n)) return undefined;
  const firstIndex = Number(copy.readBigUInt64LE(16)) as LogIndex;
  return { version: 1, firstIndex, salt: copy.readBigUInt64LE(24) };
}

/** Version and kind are under it as its seed: they stand before the checksum. */
function sumOf(copy: Buffer): number {
  return checksum(copy.subarray(SUMMED_FROM), BigInt(copy.readUInt32LE(8)));
}
