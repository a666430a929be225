import { parseRfc3339 } from "../../apimachinery/index.ts";
import type { Pod, Taint, Toleration } from "../../api/index.ts";
import { NOT_READY_TAINT, UNREACHABLE_TAINT } from "./health.ts";

const LOST_TAINTS = new Set([NOT_READY_TAINT, UNREACHABLE_TAINT]);

export type EvictionPlan =
  | { readonly type: "keep" }
  | { readonly type: "evict" }
  | { readonly type: "wait"; readonly forMs: number };

export interface EvictionObserved {
  readonly pod: Pod;
  readonly taints: readonly Taint[];
  /** When a taint without timeAdded was first seen; wall clock. */
  readonly firstSeenMs: (taint: Taint) => number;
  /** Nobody is evicted for a lost node before: it may only be this process that is new. */
  readonly notBeforeMs: number;
  readonly nowMs: number;
}

/**
 * Whether a pod has to leave its node for the NoExecute taints there: at once when one of them is
 * not tolerated, after the shortest tolerationSeconds when all are, never when no limit is given.
 */
export function planEviction(observed: EvictionObserved): EvictionPlan {
  const { pod, taints, nowMs } = observed;
  if (pod.metadata.deletionTimestamp !== undefined) return { type: "keep" };
  let endMs = Infinity;
  for (const taint of taints.filter(({ effect }) => effect === "NoExecute")) {
    const tolerations = (pod.spec?.tolerations ?? []).filter((one) => covers(one, taint));
    if (tolerations.length === 0) {
      endMs = Math.min(endMs, LOST_TAINTS.has(taint.key) ? observed.notBeforeMs : nowMs);
      continue;
    }
    const limits = tolerations.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
    if (limits.length === 0) continue;
    const addedMs = parseRfc3339(taint.timeAdded ?? "");
    const sinceMs = Number.isNaN(addedMs) ? observed.firstSeenMs(taint) : addedMs;
    const limitMs = Math.max(0, Math.min(...limits)) * 1000;
    const earliestMs = LOST_TAINTS.has(taint.key) ? observed.notBeforeMs : 0;
    endMs = Math.min(endMs, Math.max(sinceMs + limitMs, earliestMs));
  }
  if (endMs === Infinity) return { type: "keep" };
  return endMs <= nowMs ? { type: "evict" } : { type: "wait", forMs: endMs - nowMs };
}

function covers(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === "Exists") return true;
  return (toleration.value ?? "") === (taint.value ?? "");
}
