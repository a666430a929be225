import type { BigIntStats } from "node:fs";
import { datetimeOf, nanosecondsOf, type Datetime } from "../clocks.ts";

export type DescriptorType =
  | "unknown"
  | "block-device"
  | "character-device"
  | "directory"
  | "fifo"
  | "symbolic-link"
  | "regular-file"
  | "socket";

/** What stat and directory entries have in common. */
export interface TypedEntry {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

export function descriptorType(entry: TypedEntry): DescriptorType {
  if (entry.isFile()) return "regular-file";
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symbolic-link";
  if (entry.isCharacterDevice()) return "character-device";
  if (entry.isBlockDevice()) return "block-device";
  if (entry.isFIFO()) return "fifo";
  if (entry.isSocket()) return "socket";
  return "unknown";
}

/** `descriptor-stat`. */
export function descriptorStat(stats: BigIntStats) {
  return {
    type: descriptorType(stats),
    linkCount: stats.nlink,
    size: stats.size,
    dataAccessTimestamp: datetimeOf(stats.atimeNs),
    dataModificationTimestamp: datetimeOf(stats.mtimeNs),
    statusChangeTimestamp: datetimeOf(stats.ctimeNs),
  };
}

/**
 * `metadata-hash-value`: names the object, not its content, because C libraries make the inode
 * number of it.
 */
export function metadataHash(stats: BigIntStats): { lower: bigint; upper: bigint } {
  const digest = new Bun.CryptoHasher("sha256")
    .update(`${stats.dev} ${stats.ino} ${stats.birthtimeNs}`)
    .digest();
  return { lower: digest.readBigUInt64LE(0), upper: digest.readBigUInt64LE(8) };
}

/** `new-timestamp`. */
export type NewTimestamp =
  | { readonly tag: "no-change" | "now" }
  | { readonly tag: "timestamp"; readonly val: Datetime };

export function timestampNs(wanted: NewTimestamp, currentNs: bigint, nowNs: bigint): bigint {
  switch (wanted.tag) {
    case "no-change":
      return currentNs;
    case "now":
      return nowNs;
    case "timestamp":
      return nanosecondsOf(wanted.val);
  }
}
