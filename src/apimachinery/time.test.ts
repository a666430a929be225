import { describe, expect, test } from "bun:test";
import {
  humanDuration,
  parseGoDuration,
  parseRfc3339,
  rfc3339,
  rfc3339Micro,
  rfc3339Nano,
} from "./time.ts";

const MOMENT_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

describe("time", () => {
  test("rfc3339: has seconds, rfc3339Micro microseconds, rfc3339Nano nanoseconds", () => {
    expect(rfc3339(MOMENT_MS + 999)).toBe("2026-01-02T03:04:05Z");
    expect(rfc3339Micro(MOMENT_MS + 678)).toBe("2026-01-02T03:04:05.678000Z");
    expect(rfc3339Micro(MOMENT_MS + 0.25)).toBe("2026-01-02T03:04:05.000250Z");
    expect(rfc3339Micro(MOMENT_MS - 0.0001)).toBe("2026-01-02T03:04:05.000000Z");
    expect(rfc3339Nano(MOMENT_MS)).toBe("2026-01-02T03:04:05.000000000Z");
  });

  test("parseRfc3339: reads offsets and fractions", () => {
    expect(parseRfc3339("2026-01-02T03:04:05Z")).toBe(MOMENT_MS);
    expect(parseRfc3339("2026-01-02T05:04:05+02:00")).toBe(MOMENT_MS);
    expect(parseRfc3339("2026-01-01T22:34:05-04:30")).toBe(MOMENT_MS);
    expect(parseRfc3339("2026-01-02T03:04:05.5Z")).toBe(MOMENT_MS + 500);
    expect(parseRfc3339("2024-02-29T00:00:00Z")).toBe(Date.UTC(2024, 1, 29));
  });

  test("parseRfc3339: is NaN for what is no moment", () => {
    const wrong = [
      "",
      "2026-01-02",
      "2026-01-02 03:04:05Z",
      "2026-01-02T03:04:05",
      "2026-13-02T03:04:05Z",
      "2026-02-29T03:04:05Z",
      "2026-01-02T24:00:00Z",
      "2026-01-02T03:04:60Z",
      "2026-01-02T03:04:05+99:00",
    ];
    for (const text of wrong) expect([text, parseRfc3339(text)]).toEqual([text, Number.NaN]);
  });

  test("humanDuration: reads like kubectl's ages", () => {
    const cases: readonly (readonly [seconds: number, text: string])[] = [
      [-5, "<invalid>"],
      [0, "0s"],
      [119, "119s"],
      [120, "2m"],
      [330, "5m30s"],
      [600, "10m"],
      [10_799, "179m"],
      [10_800, "3h"],
      [12_600, "3h30m"],
      [28_800, "8h"],
      [172_799, "47h"],
      [172_800, "2d"],
      [270_000, "3d3h"],
      [691_200, "8d"],
      [31_536_000 * 2, "2y"],
      [31_536_000 * 2 + 86_400, "2y1d"],
      [31_536_000 * 9, "9y"],
    ];
    for (const [seconds, text] of cases) {
      expect([seconds, humanDuration(seconds * 1000)]).toEqual([seconds, text]);
    }
  });

  test("parseGoDuration: adds up units", () => {
    expect(parseGoDuration("1h30m")).toBe(5_400_000);
    expect(parseGoDuration("250ms")).toBe(250);
    expect(parseGoDuration("-1.5s")).toBe(-1500);
    expect(parseGoDuration("0")).toBe(0);
    expect(parseGoDuration("5")).toBeNaN();
    expect(parseGoDuration("1d")).toBeNaN();
  });
});
