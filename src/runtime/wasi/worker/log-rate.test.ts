import { describe, expect, test } from "bun:test";
import { LOG_BURST_SECONDS, LOG_PAUSE_MS, LogRate } from "./log-rate.ts";

const RATE = 1000;
const BURST = RATE * LOG_BURST_SECONDS;

describe("LogRate", () => {
  test("LogRate lets a burst through, and what comes in time", () => {
    const rate = new LogRate(RATE, 0);
    expect(rate.admits(BURST, 0)).toBe(true);
    for (let second = 1; second <= 100; second++) {
      expect(rate.admits(RATE, second * 1000)).toBe(true);
    }
    expect(rate.takeNotice(200_000)).toBe(0);
  });

  test("LogRate drops what exceeds it, and tells once for all of a pause", () => {
    const rate = new LogRate(RATE, 0);
    rate.admits(BURST, 0);
    expect(rate.admits(1, 0)).toBe(false);
    expect(rate.admits(99, 500)).toBe(false);
    expect(rate.takeNotice(500)).toBe(0);
    expect(rate.takeNotice(LOG_PAUSE_MS)).toBe(100);
    expect(rate.takeNotice(LOG_PAUSE_MS)).toBe(0);
    expect(rate.admits(RATE, LOG_PAUSE_MS)).toBe(true);
    expect(rate.droppedInAll).toBe(100);
  });

  test("LogRate gives a flood its rate, however long it goes on", () => {
    const rate = new LogRate(RATE, 0);
    let written = 0;
    for (let ms = 0; ms < 100_000; ms++) if (rate.admits(50, ms)) written += 50;
    expect(written).toBeLessThanOrEqual(BURST + 100 * RATE);
    expect(written).toBeGreaterThan(BURST + 90 * RATE);
    expect(written + rate.droppedInAll).toBe(100_000 * 50);
  });

  test("LogRate is not moved by a clock that goes back", () => {
    const rate = new LogRate(RATE, 1000);
    rate.admits(BURST, 1000);
    expect(rate.admits(1, 0)).toBe(false);
  });
});
