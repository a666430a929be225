import { CLOCK_ID } from "./abi.ts";
import { ERRNO, ProcExit, WasiError } from "./errno.ts";
import type { HostState } from "./host-state.ts";

/** Web Crypto fills at most this much a call. */
const RANDOM_CHUNK_BYTES = 65_536;
/** What a shell adds to the number of the signal that ended a process. */
const SIGNAL_EXIT_BASE = 128;
const MAX_SIGNAL = 30;
/** none, chld, cont, urg and winch: by default they do nothing. */
const HARMLESS_SIGNALS: readonly number[] = [0, 16, 17, 22, 27];
/** stop, tstp, ttin and ttou would stop the guest until another one lets it go on. */
const STOPPING_SIGNALS: readonly number[] = [18, 19, 20, 21];

/** Arguments, environment, clocks, randomness and the end. */
export function processFunctions(state: HostState) {
  const { memory, args, env, clock } = state;
  return {
    args_get(vector: number, buffer: number): number {
      memory.writeStrings(args, vector, buffer);
      return ERRNO.success;
    },
    args_sizes_get(count: number, bytes: number): number {
      return writeSizes(state, args, count, bytes);
    },
    environ_get(vector: number, buffer: number): number {
      memory.writeStrings(env, vector, buffer);
      return ERRNO.success;
    },
    environ_sizes_get(count: number, bytes: number): number {
      return writeSizes(state, env, count, bytes);
    },
    clock_res_get(id: number, result: number): number {
      if (id >>> 0 > CLOCK_ID.threadCpu) throw new WasiError(ERRNO.inval);
      memory.setUint64(result, id >= CLOCK_ID.processCpu ? 1000n : 1n);
      return ERRNO.success;
    },
    clock_time_get(id: number, _precision: bigint, result: number): number {
      memory.setUint64(result, timeOf(id));
      return ERRNO.success;
    },
    proc_exit(code: number): number {
      throw new ProcExit(code >>> 0);
    },
    proc_raise(signal: number): number {
      if (signal >>> 0 > MAX_SIGNAL) throw new WasiError(ERRNO.inval);
      if (HARMLESS_SIGNALS.includes(signal)) return ERRNO.success;
      if (STOPPING_SIGNALS.includes(signal)) throw new WasiError(ERRNO.notsup);
      throw new ProcExit(SIGNAL_EXIT_BASE + signal);
    },
    random_get(buffer: number, length: number): number {
      const bytes = memory.slice(buffer, length);
      for (let from = 0; from < bytes.length; from += RANDOM_CHUNK_BYTES) {
        // Through a copy: an engine may refuse to fill a view on WebAssembly memory.
        const part = new Uint8Array(Math.min(RANDOM_CHUNK_BYTES, bytes.length - from));
        bytes.set(crypto.getRandomValues(part), from);
      }
      return ERRNO.success;
    },
  };

  function timeOf(id: number): bigint {
    switch (id) {
      case CLOCK_ID.realtime:
        return clock.realtimeNs();
      case CLOCK_ID.monotonic:
        return clock.monotonicNs();
      case CLOCK_ID.processCpu:
      case CLOCK_ID.threadCpu:
        return clock.cpuNs();
      default:
        throw new WasiError(ERRNO.inval);
    }
  }
}

function writeSizes(
  state: HostState,
  strings: readonly Uint8Array[],
  count: number,
  bytes: number,
): number {
  state.memory.setUint32(count, strings.length);
  state.memory.setUint32(
    bytes,
    strings.reduce((sum, text) => sum + text.length + 1, 0),
  );
  return ERRNO.success;
}
