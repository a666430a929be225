import { dlopen, FFIType } from "bun:ffi";

/**
 * A timer of the kernel (setitimer(2)): when it runs down, SIGALRM ends the process, whatever its
 * threads do. One a process.
 */
export interface KernelTimer {
  /** From now on; 0 stops it. */
  set(ms: number): void;
}

const ITIMER_REAL = 0;

/** Undefined where the C library cannot be called. */
export function openKernelTimer(): KernelTimer | undefined {
  for (const name of ["libc.so.6", `libc.musl-${MACHINE}.so.1`]) {
    try {
      const { symbols } = dlopen(name, {
        setitimer: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
      });
      // struct itimerval: the interval, which stays 0, and the time that is left.
      const value = new BigInt64Array(4);
      const set = (ms: number) => {
        value[2] = BigInt(Math.floor(ms / 1000));
        value[3] = BigInt(Math.round((ms % 1000) * 1000));
        symbols.setitimer(ITIMER_REAL, value, null);
      };
      return { set };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
}

const MACHINE = process.arch === "x64" ? "x86_64" : "aarch64";

/** Looks that prove, within one limit, that the event loop still runs. */
const LOOKS_PER_LIMIT = 4;

/**
 * Ends the process when its event loop does not turn for longer than the limit while something is
 * entered. A timer of the event loop sets that of the kernel anew, and stops it when nothing is.
 */
export class LoopAlarm {
  readonly #timer: KernelTimer;
  readonly #limitMs: number;
  readonly #intervalMs: number;
  #entered = 0;
  #isSet = false;

  constructor(timer: KernelTimer, limitMs: number) {
    this.#timer = timer;
    this.#intervalMs = limitMs / LOOKS_PER_LIMIT;
    // What is entered right before a look has still all of its time.
    this.#limitMs = limitMs + this.#intervalMs;
  }

  enter(): void {
    this.#entered++;
    if (!this.#isSet) this.#look();
  }

  leave(): void {
    this.#entered--;
  }

  #look(): void {
    this.#isSet = this.#entered > 0;
    this.#timer.set(this.#isSet ? this.#limitMs : 0);
    if (this.#isSet) setTimeout(() => this.#look(), this.#intervalMs).unref();
  }
}
