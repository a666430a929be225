import { dlopen, FFIType } from "bun:ffi";
import { readdirSync } from "node:fs";

/**
 * How long a process may run before the scheduler looks for a more urgent one: a hint to Linux 6.12
 * and later, which lets who wakes with a shorter slice run at once. It moves no time from one
 * process to another, and needs no privilege.
 */
export interface TimeSlices {
  /** All threads of a process. */
  set(pid: number, slice: TimeSlice): void;
}

export type TimeSlice = "short" | "usual" | "long";

/** The shortest and the longest that the kernel takes; 0 is its own. */
const SLICE_NANOSECONDS: Readonly<Record<TimeSlice, bigint>> = {
  short: 100_000n,
  usual: 0n,
  long: 100_000_000n,
};

/** struct sched_attr of sched_setattr(2), the version of 48 bytes. */
const ATTR_BYTES = 48;
const POLICY_OFFSET = 4;
const FLAGS_OFFSET = 8;
const RUNTIME_OFFSET = 24;
const SCHED_OTHER = 0;
/** What the process starts has slices of its own again. */
const RESET_ON_FORK = 1n;

const CALLS: Readonly<Record<string, { readonly set: number; readonly get: number }>> = {
  x64: { set: 314, get: 315 },
  arm64: { set: 274, get: 275 },
};
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Undefined where the C library cannot be called. */
export function openTimeSlices(): TimeSlices | undefined {
  const calls = CALLS[process.arch];
  if (calls === undefined || process.platform !== "linux") return undefined;
  const word = FFIType.i64;
  for (const name of LIBRARIES) {
    try {
      const { symbols } = dlopen(name, {
        syscall: { args: [word, word, FFIType.ptr, word, word], returns: word },
      });
      const bytes = new Uint8Array(ATTR_BYTES);
      const attr = new DataView(bytes.buffer);
      const setThread = (thread: number, slice: TimeSlice): void => {
        // The call sets all of it: what is not to change is read before.
        if (Number(symbols.syscall(calls.get, thread, bytes, ATTR_BYTES, 0)) !== 0) return;
        // Somebody put it into another class, where the field means something else.
        if (attr.getUint32(POLICY_OFFSET, true) !== SCHED_OTHER) return;
        const flags = attr.getBigUint64(FLAGS_OFFSET, true);
        attr.setBigUint64(FLAGS_OFFSET, flags | RESET_ON_FORK, true);
        attr.setBigUint64(RUNTIME_OFFSET, SLICE_NANOSECONDS[slice], true);
        symbols.syscall(calls.set, thread, bytes, 0, 0);
      };
      return { set: (pid, slice) => threadsOf(pid).forEach((one) => setThread(one, slice)) };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return []; // It ended.
  }
}
