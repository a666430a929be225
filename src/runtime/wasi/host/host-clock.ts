/** Time as the guest sees it, in nanoseconds. */
export interface HostClock {
  realtimeNs(): bigint;
  monotonicNs(): bigint;
  /** CPU time this process used. */
  cpuNs(): bigint;
  /** Calls back once after `delayMs`; the answer cancels it. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back once the event loop has looked at its sockets again. */
  nextTurn(callback: () => void): void;
}

/** Above this the wall clock was set, and the offset to the monotonic one is taken anew. */
const MAX_DRIFT_NS = 5_000_000n;
const MAX_TIMER_MS = 0x7fff_ffff;

/** The machine's clocks. Wall time is the monotonic clock plus an offset: Date has only ms. */
export class SystemHostClock implements HostClock {
  #offsetNs = 0n;

  realtimeNs(): bigint {
    const monotonic = this.monotonicNs();
    const coarse = BigInt(Date.now()) * 1_000_000n;
    const drift = coarse - (monotonic + this.#offsetNs);
    if (drift > MAX_DRIFT_NS || drift < -MAX_DRIFT_NS) this.#offsetNs = coarse - monotonic;
    return monotonic + this.#offsetNs;
  }

  monotonicNs(): bigint {
    return process.hrtime.bigint();
  }

  cpuNs(): bigint {
    const { user, system } = process.cpuUsage();
    return BigInt(user + system) * 1000n;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  }

  nextTurn(callback: () => void): void {
    setImmediate(callback);
  }
}
