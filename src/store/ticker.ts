import type { CancelTimer, Clock } from "../lib/index.ts";

/** One tick of the core. Elections take 10 to 19 of them, a heartbeat comes with each. */
export const TICK_MS = 100;
/**
 * After a pause of the process so many ticks are made up for at most: messages that came meanwhile
 * are read before an election that only the pause would have caused.
 */
export const MAX_TICKS_AT_ONCE = 3;

/** Tells the core the time, while it is told to run: a member that is alone needs none. */
export class Ticker {
  readonly #clock: Clock;
  readonly #onTicks: (count: number) => void;
  #cancel: CancelTimer | undefined;
  #lastMs = 0;

  constructor(clock: Clock, onTicks: (count: number) => void) {
    this.#clock = clock;
    this.#onTicks = onTicks;
  }

  get running(): boolean {
    return this.#cancel !== undefined;
  }

  run(): void {
    if (this.#cancel !== undefined) return;
    this.#lastMs = this.#clock.monotonic();
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    this.#cancel = this.#clock.after(TICK_MS, () => {
      const now = this.#clock.monotonic();
      const passed = Math.floor((now - this.#lastMs) / TICK_MS);
      const count = Math.min(Math.max(1, passed), MAX_TICKS_AT_ONCE);
      // What a pause took beyond that is not made up for later either.
      this.#lastMs = passed > MAX_TICKS_AT_ONCE ? now : this.#lastMs + count * TICK_MS;
      this.#arm();
      this.#onTicks(count);
    });
  }
}
