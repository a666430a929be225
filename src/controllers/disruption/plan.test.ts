import { describe, expect, test } from "bun:test";
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetSpec } from "../../api/index.ts";
import { rfc3339 } from "../../apimachinery/index.ts";
import { DISRUPTION_TIMEOUT_MS, nextDisruptionEndMs, planDisruption } from "./plan.ts";

const NOW_MS = 1_000_000_000;

function pod(name: string, ready = true): Pod {
  const status = ready ? "True" : "False";
  return { metadata: { name }, status: { conditions: [{ type: "Ready", status }] } };
}

function budget(spec: PodDisruptionBudgetSpec, status = {}): PodDisruptionBudget {
  return { metadata: { name: "b", generation: 2 }, spec, status };
}

const PODS = [pod("a"), pod("b"), pod("c", false), pod("d")];

describe("planDisruption", () => {
  test("planDisruption: allows what is healthy beyond what is needed", () => {
    const cases: [PodDisruptionBudgetSpec, number, number, number][] = [
      [{ minAvailable: 2 }, 4, 2, 1],
      [{ minAvailable: 3 }, 4, 3, 0],
      [{ minAvailable: "50%" }, 5, 3, 0],
      [{ maxUnavailable: 1 }, 5, 4, 0],
      [{ maxUnavailable: "50%" }, 5, 2, 1],
      [{ maxUnavailable: 9 }, 5, 0, 3],
    ];
    for (const [spec, expectedPods, desiredHealthy, disruptionsAllowed] of cases) {
      const status = planDisruption({
        budget: budget(spec),
        pods: PODS,
        wanted: { replicas: 5 },
        nowMs: NOW_MS,
      });
      const numbers = { expectedPods, desiredHealthy, disruptionsAllowed, currentHealthy: 3 };
      expect(status).toMatchObject({ ...numbers, observedGeneration: 2 });
      expect(status?.conditions).toMatchObject([
        disruptionsAllowed > 0
          ? { type: "DisruptionAllowed", status: "True", reason: "SufficientPods" }
          : { type: "DisruptionAllowed", status: "False", reason: "InsufficientPods" },
      ]);
    }
  });

  test("planDisruption: an evicted pod counts as gone until it is, or for two minutes", () => {
    const disruptedPods = {
      a: rfc3339(NOW_MS - 1000),
      b: rfc3339(NOW_MS - DISRUPTION_TIMEOUT_MS),
      gone: rfc3339(NOW_MS),
    };
    const status = planDisruption({
      budget: budget({ minAvailable: 1 }, { disruptedPods }),
      pods: PODS,
      wanted: { unknown: "" },
      nowMs: NOW_MS,
    });
    expect(status?.disruptedPods).toEqual({ a: disruptedPods.a });
    expect(status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1 });
    expect(nextDisruptionEndMs(status ?? {}, NOW_MS)).toBe(DISRUPTION_TIMEOUT_MS - 1000);
  });

  test("planDisruption: allows nothing when nobody knows how many pods there should be", () => {
    const unknown = 'found no controllers for pod "a"';
    const observed = { pods: PODS, wanted: { unknown }, nowMs: NOW_MS };
    const status = planDisruption({ ...observed, budget: budget({ maxUnavailable: 1 }) });
    expect(status).toMatchObject({ disruptionsAllowed: 0 });
    expect(status?.conditions).toMatchObject([{ reason: "SyncFailed", message: unknown }]);
    const again = budget({ maxUnavailable: 1 }, status);
    expect(planDisruption({ ...observed, budget: again })).toBeUndefined();
  });
});
