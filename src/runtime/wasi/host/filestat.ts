import { dlopen, FFIType } from "bun:ffi";
import { lutimesSync, utimesSync, type BigIntStats } from "node:fs";
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

/** Access and modification time, in nanoseconds since the Unix epoch. */
export interface FileTimes {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

/** What no flag names stays as it is. Throws EINVAL for unknown flags, and a time given and now. */
export function newTimes(request: {
  readonly stats: BigIntStats;
  readonly atim: bigint;
  readonly mtim: bigint;
  readonly flags: number;
  readonly nowNs: bigint;
}): FileTimes {
  const { stats, flags, nowNs } = request;
  const bothAtim = FST_FLAGS.atim | FST_FLAGS.atimNow;
  const bothMtim = FST_FLAGS.mtim | FST_FLAGS.mtimNow;
  if (flags & ~(bothAtim | bothMtim)) throw new WasiError(ERRNO.inval);
  if ((flags & bothAtim) === bothAtim || (flags & bothMtim) === bothMtim) {
    throw new WasiError(ERRNO.inval);
  }
  const pick = (set: number, now: number, given: bigint, current: bigint): bigint => {
    if (flags & set) return BigInt.asUintN(64, given);
    return flags & now ? nowNs : current;
  };
  return {
    atimeNs: pick(FST_FLAGS.atim, FST_FLAGS.atimNow, request.atim, stats.atimeNs),
    mtimeNs: pick(FST_FLAGS.mtim, FST_FLAGS.mtimNow, request.mtim, stats.mtimeNs),
  };
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const SECOND_NS = 1_000_000_000n;

/**
 * Sets the times of what a path names, to the nanosecond where the C library can be called;
 * node:fs has only seconds in a double, which are exact to about 200 ns.
 */
export function setTimes(
  hostPath: string,
  times: FileTimes,
  options: { readonly follow: boolean } = { follow: false },
): void {
  const { atimeNs, mtimeNs } = times;
  const timespecs = BigInt64Array.of(
    atimeNs / SECOND_NS,
    atimeNs % SECOND_NS,
    mtimeNs / SECOND_NS,
    mtimeNs % SECOND_NS,
  );
  const flags = options.follow ? 0 : AT_SYMLINK_NOFOLLOW;
  const path = Buffer.from(`${hostPath}\0`);
  if (libc()?.utimensat(AT_FDCWD, path, timespecs, flags) === 0) return;
  // Also the way to the error's name, which a call through FFI does not tell.
  const set = options.follow ? utimesSync : lutimesSync;
  set(hostPath, Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9);
}

interface CLibrary {
  utimensat(directory: number, path: Buffer, times: BigInt64Array, flags: number): number;
}

/** Opened at its first use: few guests set times, and it costs a millisecond. */
const libc = memoised((): CLibrary | undefined => {
  const names = ["libc.so.6", `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`];
  for (const name of names) {
    try {
      const { symbols } = dlopen(name, {
        utimensat: {
          args: [FFIType.i32, FFIType.ptr, FFIType.ptr, FFIType.i32],
          returns: FFIType.i32,
        },
      });
      return symbols;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
});

function memoised<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
