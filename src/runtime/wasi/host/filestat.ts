import type { BigIntStats } from "node:fs";
import { FST_FLAGS, SIZE } from "./abi.ts";
import { ERRNO, WasiError } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { fileTypeOf } from "./open-directory.ts";

/** Writes a `filestat` record. */
export function writeFilestat(memory: GuestMemory, pointer: number, stats: BigIntStats): void {
  memory.slice(pointer, SIZE.filestat).fill(0);
  memory.setUint64(pointer, BigInt.asUintN(64, stats.dev));
  memory.setUint64(pointer + 8, BigInt.asUintN(64, stats.ino));
  memory.setUint8(pointer + 16, fileTypeOf(stats));
  memory.setUint64(pointer + 24, stats.nlink);
  memory.setUint64(pointer + 32, stats.size);
  memory.setUint64(pointer + 40, BigInt.asUintN(64, stats.atimeNs));
  memory.setUint64(pointer + 48, BigInt.asUintN(64, stats.mtimeNs));
  memory.setUint64(pointer + 56, BigInt.asUintN(64, stats.ctimeNs));
}

/** A `filestat` of something that has no more than a type. */
export function writeBareFilestat(memory: GuestMemory, pointer: number, fileType: number): void {
  memory.slice(pointer, SIZE.filestat).fill(0);
  memory.setUint8(pointer + 16, fileType);
}

/** Seconds, as node:fs takes them; what no flag names stays. Throws EINVAL for both at once. */
export function newTimes(request: {
  readonly stats: BigIntStats;
  readonly atim: bigint;
  readonly mtim: bigint;
  readonly flags: number;
  readonly nowNs: bigint;
}): { readonly atime: number; readonly mtime: number } {
  const { stats, flags, nowNs } = request;
  const bothAtim = FST_FLAGS.atim | FST_FLAGS.atimNow;
  const bothMtim = FST_FLAGS.mtim | FST_FLAGS.mtimNow;
  if ((flags & bothAtim) === bothAtim || (flags & bothMtim) === bothMtim) {
    throw new WasiError(ERRNO.inval);
  }
  const pick = (set: number, now: number, given: bigint, current: bigint): number => {
    if (flags & set) return seconds(BigInt.asUintN(64, given));
    return seconds(flags & now ? nowNs : current);
  };
  return {
    atime: pick(FST_FLAGS.atim, FST_FLAGS.atimNow, request.atim, stats.atimeNs),
    mtime: pick(FST_FLAGS.mtim, FST_FLAGS.mtimNow, request.mtim, stats.mtimeNs),
  };
}

function seconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e9;
}
