import type { Clock } from "../lib/index.ts";
import type { Revision, Store, StoreWatchEvent } from "../store/index.ts";

/** What a watch hears next. */
export type WatchStep =
  | { readonly type: "events"; readonly events: readonly StoreWatchEvent[] }
  /** `settled`: every event up to `revision` was taken before this step. */
  | { readonly type: "tick"; readonly revision: Revision; readonly settled: boolean }
  | { readonly type: "failed"; readonly error: unknown }
  | { readonly type: "end" };

export interface WatchFeedOptions {
  readonly events: AsyncIterable<readonly StoreWatchEvent[]>;
  readonly store: Store;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How long after its moment a revision counts as delivered. */
const SETTLE_MS = 10_000;
const MAX_STANDSTILL_MS = 1_000;

/**
 * The store's events of one watch and the ticks of its timer in one sequence. Takes the next batch
 * from the store only when the one before was taken, so that the store sees who is slow.
 */
export class WatchFeed {
  readonly #iterator: AsyncIterator<readonly StoreWatchEvent[]>;
  readonly #options: WatchFeedOptions;
  #arrived: WatchStep | undefined;
  #tick: WatchStep | undefined;
  #fetching = false;
  #waiting: ((step: WatchStep) => void) | undefined;
  #cancelTimer: () => void = () => undefined;

  constructor(options: WatchFeedOptions) {
    this.#options = options;
    this.#iterator = options.events[Symbol.asyncIterator]();
    const stop = (): void => {
      this.#cancelTimer();
      this.#hand({ type: "end" });
    };
    options.signal.addEventListener("abort", stop, { once: true });
  }

  /**
   * Puts one tick into the sequence. Its revision is that of a while before: what happens now may
   * still be on its way to this watch, what happened then has arrived, unless the event loop stood
   * still meanwhile.
   */
  tickAfter(delayMs: number): void {
    const { clock, store } = this.#options;
    this.#cancelTimer = clock.after(delayMs - SETTLE_MS, () => {
      const { revision } = store;
      const sampledMs = clock.monotonic();
      this.#cancelTimer = clock.after(SETTLE_MS, () => {
        const stoodStillMs = clock.monotonic() - sampledMs - SETTLE_MS;
        const idle = this.#arrived === undefined && this.#waiting !== undefined;
        const settled = idle && stoodStillMs < MAX_STANDSTILL_MS;
        const tick: WatchStep = { type: "tick", revision, settled };
        if (!this.#hand(tick)) this.#tick = tick;
      });
    });
  }

  /** Waits for the next step; to be called by one caller at a time. */
  take(): Promise<WatchStep> {
    if (this.#options.signal.aborted) return Promise.resolve({ type: "end" });
    const step = this.#arrived ?? this.#tick;
    if (step !== undefined) {
      if (step === this.#arrived) this.#arrived = undefined;
      else this.#tick = undefined;
      return Promise.resolve(step);
    }
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (!this.#fetching) this.#fetch();
    });
  }

  /** Gives a step to the caller that waits; false when none does. */
  #hand(step: WatchStep): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined) return false;
    this.#waiting = undefined;
    waiting(step);
    return true;
  }

  #fetch(): void {
    this.#fetching = true;
    const arrive = (step: WatchStep): void => {
      this.#fetching = false;
      if (!this.#hand(step)) this.#arrived = step;
    };
    this.#iterator.next().then(
      ({ done, value }) =>
        arrive(done === true ? { type: "end" } : { type: "events", events: value }),
      (error: unknown) => arrive({ type: "failed", error }),
    );
  }
}
