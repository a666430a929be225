import { describe, expect, test } from "bun:test";
import { nextCheckAt } from "./next-check.ts";

describe("nextCheckAt", () => {
  test("nextCheckAt: the first of what the plan waits for and what may be tried again", () => {
    expect(nextCheckAt({ beganAt: 10, checkAt: 30, retries: [20, 40] })).toBe(20);
    expect(nextCheckAt({ beganAt: 10, checkAt: 15, retries: [20] })).toBe(15);
    expect(nextCheckAt({ beganAt: 10, checkAt: undefined, retries: [] })).toBeUndefined();
  });

  test("nextCheckAt: a retry that the plan already passed over does not make it spin", () => {
    expect(nextCheckAt({ beganAt: 10, checkAt: 30, retries: [5, 10] })).toBe(30);
    expect(nextCheckAt({ beganAt: 10, checkAt: undefined, retries: [5] })).toBeUndefined();
  });
});
