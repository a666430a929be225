import { parseRfc3339 } from "../apimachinery/index.ts";
import type { Pod, PodCondition } from "../api/index.ts";

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, "Ready")?.status === "True";
}

/** Neither finished nor on its way out. */
export function isPodActive(pod: Pod): boolean {
  return !isPodFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** On its way out, and its containers have not all ended. */
export function isPodTerminating(pod: Pod): boolean {
  return !isPodFinished(pod) && pod.metadata.deletionTimestamp !== undefined;
}

/** Its containers have ended for good. */
export function isPodFinished(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase === "Succeeded" || phase === "Failed";
}

/**
 * When a pod counts as available: it has been ready for `minReadySeconds`. Milliseconds since the
 * epoch, undefined while it is not ready.
 */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = podCondition(pod, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  const sinceMs = parseRfc3339(ready.lastTransitionTime ?? "");
  return Number.isNaN(sinceMs) ? undefined : sinceMs + minReadySeconds * 1000;
}
