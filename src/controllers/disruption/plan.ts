import type { Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "../../api/index.ts";
import { jsonEquals, parseRfc3339, rfc3339 } from "../../apimachinery/index.ts";
import { isPodReady } from "../pod-state.ts";

/** How long an evicted pod counts as gone although its deletion was not seen. */
export const DISRUPTION_TIMEOUT_MS = 2 * 60_000;

export interface DisruptionObserved {
  readonly budget: PodDisruptionBudget;
  /** The pods that it selects. */
  readonly pods: readonly Pod[];
  /** Replicas that a pod's controllers want, each controller once; or why nobody knows. */
  readonly wanted: { readonly replicas: number } | { readonly unknown: string };
  readonly nowMs: number;
}

/** The status of a budget; undefined when it says so already. */
export function planDisruption(
  observed: DisruptionObserved,
): PodDisruptionBudgetStatus | undefined {
  const { budget, pods, nowMs } = observed;
  const before = budget.status;
  const disruptedPods = stillDisrupted(before?.disruptedPods ?? {}, pods, nowMs);
  const currentHealthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      disruptedPods[pod.metadata.name ?? ""] === undefined &&
      isPodReady(pod),
  ).length;
  const needed = neededPods(observed);
  const failed = "unknown" in needed ? needed.unknown : undefined;
  const { expectedPods, desiredHealthy } =
    "unknown" in needed
      ? {
          expectedPods: before?.expectedPods ?? 0,
          desiredHealthy: before?.desiredHealthy ?? 0,
        }
      : needed;
  const spare = Math.max(0, currentHealthy - desiredHealthy);
  const disruptionsAllowed = failed !== undefined || expectedPods <= 0 ? 0 : spare;
  const status: PodDisruptionBudgetStatus = {
    ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
    conditions: [conditionOf(observed, disruptionsAllowed, failed)],
    currentHealthy,
    desiredHealthy,
    disruptionsAllowed,
    expectedPods,
    observedGeneration: budget.metadata.generation ?? 0,
  };
  return jsonEquals(status, before) ? undefined : status;
}

/** When an evicted pod stops counting as gone, in milliseconds from now; undefined for none. */
export function nextDisruptionEndMs(
  { disruptedPods = {} }: PodDisruptionBudgetStatus,
  nowMs: number,
): number | undefined {
  const ends = Object.values(disruptedPods).map(
    (since) => parseRfc3339(since) + DISRUPTION_TIMEOUT_MS - nowMs,
  );
  return ends.length === 0 ? undefined : Math.max(1, Math.min(...ends));
}

function stillDisrupted(
  disrupted: Readonly<Record<string, string>>,
  pods: readonly Pod[],
  nowMs: number,
): Record<string, string> {
  const present = new Map(pods.map(({ metadata }) => [metadata.name ?? "", metadata]));
  const kept = Object.entries(disrupted).filter(([name, since]) => {
    const metadata = present.get(name);
    if (metadata === undefined || metadata.deletionTimestamp !== undefined) return false;
    return nowMs < parseRfc3339(since) + DISRUPTION_TIMEOUT_MS;
  });
  return Object.fromEntries(kept);
}

function neededPods({
  budget: { spec },
  pods,
  wanted,
}: DisruptionObserved):
  | { readonly expectedPods: number; readonly desiredHealthy: number }
  | { readonly unknown: string } {
  const { minAvailable, maxUnavailable } = spec ?? {};
  if (maxUnavailable === undefined && typeof minAvailable !== "string") {
    return { expectedPods: pods.length, desiredHealthy: minAvailable ?? 0 };
  }
  if ("unknown" in wanted) return wanted;
  const expectedPods = wanted.replicas;
  const desiredHealthy =
    maxUnavailable === undefined
      ? shareOf(minAvailable ?? 0, expectedPods)
      : Math.max(0, expectedPods - shareOf(maxUnavailable, expectedPods));
  return { expectedPods, desiredHealthy };
}

/** A percentage rounds up, on either side, as in Kubernetes. */
function shareOf(amount: number | string, total: number): number {
  if (typeof amount === "number") return amount;
  const percent = Number(amount.replace(/%$/, ""));
  return Number.isNaN(percent) ? 0 : Math.ceil((percent * total) / 100);
}

function conditionOf(
  { budget, nowMs }: DisruptionObserved,
  allowed: number,
  failed: string | undefined,
) {
  const type = "DisruptionAllowed";
  const known = budget.status?.conditions?.find((condition) => condition.type === type);
  const status = allowed > 0 ? "True" : "False";
  const reason = allowed > 0 ? "SufficientPods" : "InsufficientPods";
  const now = rfc3339(nowMs);
  return {
    type,
    status,
    reason: failed === undefined ? reason : "SyncFailed",
    message: failed ?? "",
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime: known?.status === status ? known.lastTransitionTime : now,
  };
}
