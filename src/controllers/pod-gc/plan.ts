import { parseRfc3339 } from "../../apimachinery/index.ts";
import type { Pod } from "../../api/index.ts";
import { isPodFinished } from "../pod-state.ts";

/** Finished pods kept for people to look at. */
export const MAX_FINISHED_PODS = 12_500;
/** How long a node has to be missing before its pods go: it may only be registering anew. */
export const QUARANTINE_MS = 40_000;

export interface PodGcObserved {
  readonly pods: readonly Pod[];
  /** For how long the node of this name has been missing; undefined when it exists. */
  readonly missingForMs: (nodeName: string) => number | undefined;
  /** Somebody vouches that the node is off: it has the taint out-of-service. */
  readonly isOutOfService: (nodeName: string) => boolean;
  readonly maxFinishedPods: number;
}

export interface PodRemoval {
  readonly pod: Pod;
  readonly why: "finished" | "node-gone" | "out-of-service" | "never-scheduled";
}

/** Pods that nobody else will take away. */
export function planPodGc(observed: PodGcObserved): readonly PodRemoval[] {
  const removals: PodRemoval[] = [];
  const finished: Pod[] = [];
  for (const pod of observed.pods) {
    const nodeName = pod.spec?.nodeName ?? "";
    const missingMs = nodeName === "" ? undefined : observed.missingForMs(nodeName);
    const doomed = pod.metadata.deletionTimestamp !== undefined;
    // Of a pod that is to go anyway nothing is lost if the node comes back.
    if (missingMs !== undefined && (doomed || missingMs >= QUARANTINE_MS)) {
      removals.push({ pod, why: "node-gone" });
    } else if (doomed && nodeName !== "" && observed.isOutOfService(nodeName)) {
      removals.push({ pod, why: "out-of-service" });
    } else if (nodeName === "" && doomed) {
      removals.push({ pod, why: "never-scheduled" });
    } else if (isPodFinished(pod) && !doomed) {
      finished.push(pod);
    }
  }
  const surplus = Math.max(0, finished.length - observed.maxFinishedPods);
  const oldest = surplus === 0 ? [] : finished.sort((a, b) => bornMs(a) - bornMs(b));
  return [
    ...removals,
    ...oldest.slice(0, surplus).map((pod) => ({ pod, why: "finished" }) as const),
  ];
}

function bornMs(pod: Pod): number {
  const ms = parseRfc3339(pod.metadata.creationTimestamp ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}
