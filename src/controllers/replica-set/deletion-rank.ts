import { parseRfc3339 } from "../../apimachinery/index.ts";
import type { Pod } from "../../api/index.ts";
import { isPodReady, podCondition } from "../pod-state.ts";

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const PHASES = ["Pending", "Unknown", "Running"];

/**
 * Sorts pods so that those whose loss is felt least come first, by Kubernetes' rules: without a
 * node, in an early phase, not ready, cheap by their annotation, on a node with many of their
 * kind, ready for a shorter time, restarted more often, younger.
 */
export function rankForDeletion(
  pods: readonly Pod[],
  siblingsOnNode: ReadonlyMap<string, number>,
): readonly Pod[] {
  const siblings = (pod: Pod): number => siblingsOnNode.get(pod.spec?.nodeName ?? "") ?? 0;
  // Each key is smaller for what goes first.
  const keys: readonly ((pod: Pod) => number)[] = [
    (pod) => (pod.spec?.nodeName ? 1 : 0),
    (pod) => PHASES.indexOf(pod.status?.phase ?? "Pending"),
    (pod) => (isPodReady(pod) ? 1 : 0),
    deletionCost,
    (pod) => -siblings(pod),
    (pod) => -readySinceMs(pod),
    (pod) => -restarts(pod),
    (pod) => -momentMs(pod.metadata.creationTimestamp),
  ];
  return [...pods].sort((a, b) => {
    for (const key of keys) {
      const difference = key(a) - key(b);
      if (difference !== 0) return difference;
    }
    return (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
  });
}

function deletionCost(pod: Pod): number {
  const cost = Number(pod.metadata.annotations?.[DELETION_COST] ?? 0);
  return Number.isInteger(cost) ? cost : 0;
}

function readySinceMs(pod: Pod): number {
  return isPodReady(pod) ? momentMs(podCondition(pod, "Ready")?.lastTransitionTime) : 0;
}

function restarts(pod: Pod): number {
  const counts = (pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount);
  return Math.max(0, ...counts);
}

function momentMs(text: string | undefined): number {
  const ms = parseRfc3339(text ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}
