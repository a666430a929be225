import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import { MAX_TICKS_AT_ONCE, Ticker, TICK_MS } from "./ticker.ts";

/** A clock whose timers were held up: the process did not run. */
class PausedClock extends ManualClock {
  aheadMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.aheadMs;
  }
}

describe("Ticker", () => {
  test("Ticker: ticks while it runs, and needs no timer when it does not", () => {
    const clock = new ManualClock();
    let ticks = 0;
    const ticker = new Ticker(clock, (count) => (ticks += count));
    expect(clock.pending).toBe(0);
    ticker.run();
    ticker.run();
    clock.advance(10 * TICK_MS);
    expect(ticks).toBe(10);
    ticker.stop();
    expect(clock.pending).toBe(0);
    clock.advance(10 * TICK_MS);
    expect(ticks).toBe(10);
  });

  test("Ticker: makes up for a pause, but not for a long one", () => {
    const clock = new PausedClock();
    const counts: number[] = [];
    const ticker = new Ticker(clock, (count) => counts.push(count));
    ticker.run();
    clock.aheadMs = TICK_MS;
    clock.advance(TICK_MS);
    clock.aheadMs += 3_600_000;
    clock.advance(TICK_MS);
    clock.advance(2 * TICK_MS);
    expect(counts).toEqual([2, MAX_TICKS_AT_ONCE, 1, 1]);
  });
});
