import { describe, expect, test } from "bun:test";
import { BUDGET_PERIOD_MS, CpuBudget } from "./cpu-budget.ts";

/** What a process that wants `wants` of a processor got after `durationMs`. */
function run(limitMillis: number, wants: number, durationMs: number) {
  const budget = new CpuBudget(limitMillis, 0, 0);
  let [nowMs, usedMs, stops] = [0, 0, 0];
  while (nowMs < durationMs) {
    const { stopMs, nextLookMs } = budget.look(nowMs, usedMs);
    if (stopMs > 0) stops++;
    nowMs += stopMs + nextLookMs;
    usedMs += nextLookMs * wants;
  }
  return { share: usedMs / nowMs, stops };
}

describe("CpuBudget", () => {
  test("CpuBudget lets a process that wants all have its limit", () => {
    for (const limit of [50, 200, 500, 900]) {
      expect(run(limit, 1, 10_000).share).toBeCloseTo(limit / 1000, 1);
    }
    expect(run(1500, 4, 10_000).share).toBeCloseTo(1.5, 1);
  });

  test("CpuBudget never stops a process below its limit", () => {
    expect(run(200, 0.15, 10_000)).toEqual({ share: 0.15, stops: 0 });
    expect(run(200, 0, 10_000).stops).toBe(0);
  });

  test("CpuBudget saves nothing up beyond a period", () => {
    const budget = new CpuBudget(200, 0, 0);
    budget.look(60_000, 0);
    expect(budget.look(60_100, 100).stopMs).toBe(300);
  });

  test("CpuBudget forgives most of what a late look let happen", () => {
    const budget = new CpuBudget(100, 0, 0);
    expect(budget.look(60_000, 60_000).stopMs).toBeLessThanOrEqual(10 * BUDGET_PERIOD_MS);
  });

  test("CpuBudget looks seldom at a process that does nothing", () => {
    expect(new CpuBudget(200, 0, 0).look(10, 0).nextLookMs).toBe(BUDGET_PERIOD_MS);
  });
});
