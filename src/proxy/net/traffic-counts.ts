import type { Clock } from "../../lib/index.ts";

/** A rate of requests is taken over this time. */
export const RATE_WINDOW_MS = 30_000;
const BUCKETS = 6;
const BUCKET_MS = RATE_WINDOW_MS / BUCKETS;
/** What nothing went to for so long is forgotten. */
export const FORGOTTEN_AFTER_MS = 3_600_000;
/** Addresses whose traffic is remembered; beyond it one that rests is forgotten for a new one. */
export const MAX_ADDRESSES = 16_384;

/** What goes through this proxy to one address. */
export interface AddressTraffic {
  readonly ip: string;
  /** Requests and connections under way. */
  readonly inFlight: number;
  readonly requestsPerSecond: number;
  /** Milliseconds since something was under way; 0 while something is. */
  readonly idleMs: number;
}

/** Counts requests (and connections of TCP Services) to one address. */
export class TrafficCount {
  inFlight = 0;
  lastMs: number;
  readonly sinceMs: number;
  readonly #clock: Clock;
  /** Begun in each of the latest spans of time; a bucket is used again after a round. */
  readonly #begun = Array.from({ length: BUCKETS }, () => 0);
  #span: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.lastMs = clock.monotonic();
    this.sinceMs = this.lastMs;
    this.#span = Math.floor(this.lastMs / BUCKET_MS);
  }

  begin(): void {
    this.lastMs = this.#clock.monotonic();
    this.inFlight++;
    const index = this.#turn() % BUCKETS;
    this.#begun[index] = (this.#begun[index] ?? 0) + 1;
  }

  end(): void {
    this.inFlight--;
    this.lastMs = this.#clock.monotonic();
  }

  /** Over the window, or since the first request when that is more recent. */
  get perSecond(): number {
    this.#turn();
    const nowMs = this.#clock.monotonic();
    const coveredMs = RATE_WINDOW_MS - BUCKET_MS + (nowMs % BUCKET_MS);
    const overMs = Math.max(BUCKET_MS, Math.min(coveredMs, nowMs - this.sinceMs));
    return (this.#begun.reduce((sum, count) => sum + count, 0) * 1000) / overMs;
  }

  /** Empties the buckets of spans that have passed; gives the present span. */
  #turn(): number {
    const span = Math.floor(this.#clock.monotonic() / BUCKET_MS);
    const passed = Math.min(span - this.#span, BUCKETS);
    for (let step = 0; step < passed; step++) this.#begun[(span - step) % BUCKETS] = 0;
    this.#span = span;
    return span;
  }
}

/** What went to which address of a pod through this proxy, whichever Service or way it took. */
export class TrafficCounts {
  readonly #clock: Clock;
  readonly #counts = new Map<string, TrafficCount>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(ip: string): TrafficCount {
    let count = this.#counts.get(ip);
    if (count === undefined) {
      if (this.#counts.size >= MAX_ADDRESSES) this.#forgetOne();
      count = new TrafficCount(this.#clock);
      this.#counts.set(ip, count);
    }
    return count;
  }

  #forgetOne(): void {
    for (const [ip, { inFlight }] of this.#counts) {
      if (inFlight === 0) {
        this.#counts.delete(ip);
        return;
      }
    }
  }

  /** Forgets addresses that are long idle. */
  report(): readonly AddressTraffic[] {
    const nowMs = this.#clock.monotonic();
    return [...this.#counts].flatMap(([ip, count]): AddressTraffic[] => {
      const idleMs = count.inFlight > 0 ? 0 : Math.round(nowMs - count.lastMs);
      if (idleMs > FORGOTTEN_AFTER_MS) {
        this.#counts.delete(ip);
        return [];
      }
      return [{ ip, inFlight: count.inFlight, requestsPerSecond: count.perSecond, idleMs }];
    });
  }
}
