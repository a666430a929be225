import { describe, expect, test } from "bun:test";
import { systemRandom } from "./system-random.ts";

describe("systemRandom", () => {
  test("systemRandom: gives bytes of the length asked for, and floats in [0, 1)", () => {
    expect(systemRandom.bytes(16).length).toBe(16);
    const floats = Array.from({ length: 1_000 }, () => systemRandom.float());
    expect(floats.every((float) => float >= 0 && float < 1)).toBe(true);
    expect(new Set(floats).size).toBe(1_000);
  });
});
