import { describe, expect, test } from "bun:test";
import { InflightWindow } from "./inflight.ts";

describe("InflightWindow", () => {
  test("InflightWindow: is full by count", () => {
    const window = new InflightWindow(3, 1_000);
    for (const last of [2, 5, 9]) window.add(last, 1);
    expect(window.full).toBe(true);
    expect(() => window.add(10, 1)).toThrow("a full window of 3 appends");
    window.freeTo(5);
    expect([window.count, window.full]).toEqual([1, false]);
  });

  test("InflightWindow: is full by bytes, and takes one append whatever its size", () => {
    const window = new InflightWindow(100, 10);
    window.add(1, 4_000);
    expect(window.full).toBe(true);
    window.freeOne();
    expect([window.count, window.full]).toEqual([0, false]);
  });

  test("InflightWindow: goes round for ever without growing", () => {
    const window = new InflightWindow(4, 1_000);
    for (let last = 1; last <= 1_000; last++) {
      window.add(last, 10);
      if (last > 3) window.freeTo(last - 3);
      expect(window.count).toBe(Math.min(last, 3));
    }
    window.freeTo(5_000);
    expect(window.count).toBe(0);
    window.freeOne();
    window.clear();
    expect(window.full).toBe(false);
  });
});
