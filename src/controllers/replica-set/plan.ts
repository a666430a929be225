import { labelSelectorFrom, matchesLabels, rfc3339 } from "../../apimachinery/index.ts";
import type { Pod, ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from "../../api/index.ts";
import { availableAtMs, isPodActive, isPodReady } from "../pod-state.ts";
import { rankForDeletion } from "./deletion-rank.ts";

/** Pods made or deleted in one go; the rest follows in the next look. */
export const BURST_REPLICAS = 500;

export interface ReplicaSetObserved {
  readonly replicaSet: ReplicaSet;
  /** The pods it controls, those on their way out included. */
  readonly pods: readonly Pod[];
  /** Active pods a node of all ReplicaSets of the same owner: spread pods are kept longer. */
  readonly siblingsOnNode: ReadonlyMap<string, number>;
}

export type ReplicaSetAction =
  | { readonly type: "create"; readonly count: number }
  | { readonly type: "delete"; readonly pods: readonly Pod[] };

/** How far the number of active pods is from what is wanted, as something to do. */
export function planReplicaSet(observed: ReplicaSetObserved): readonly ReplicaSetAction[] {
  const { replicaSet, pods, siblingsOnNode } = observed;
  if (replicaSet.metadata.deletionTimestamp !== undefined) return [];
  const active = pods.filter(isPodActive);
  const missing = (replicaSet.spec?.replicas ?? 1) - active.length;
  if (missing > 0) return [{ type: "create", count: Math.min(missing, BURST_REPLICAS) }];
  if (missing === 0) return [];
  const ranked = rankForDeletion(active, siblingsOnNode);
  return [{ type: "delete", pods: ranked.slice(0, Math.min(-missing, BURST_REPLICAS)) }];
}

/** What stood in the way of a look, told as the condition ReplicaFailure. */
export interface ReplicaFailure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

export interface ReplicaSetStatusInput {
  readonly replicaSet: ReplicaSet;
  readonly pods: readonly Pod[];
  /** Its pods that are ending, those included that this controller has just deleted. */
  readonly terminating: number;
  readonly failure: ReplicaFailure | undefined;
  readonly nowMs: number;
}

/** The status that the pods amount to. */
export function replicaSetStatus(input: ReplicaSetStatusInput): ReplicaSetStatus {
  const { replicaSet, pods, terminating, nowMs } = input;
  const active = pods.filter(isPodActive);
  const minReadySeconds = replicaSet.spec?.minReadySeconds ?? 0;
  const { labels } = replicaSet.spec?.template?.metadata ?? {};
  const template = labelSelectorFrom({ matchLabels: labels ?? {} });
  const count = (where: (pod: Pod) => boolean): number => active.filter(where).length;
  const conditions = conditionsOf(input);
  return {
    replicas: active.length,
    ...counted(
      "fullyLabeledReplicas",
      count((pod) => matchesLabels(template, pod.metadata.labels)),
    ),
    ...counted("readyReplicas", count(isPodReady)),
    ...counted(
      "availableReplicas",
      count((pod) => (availableAtMs(pod, minReadySeconds) ?? Infinity) <= nowMs),
    ),
    ...counted("terminatingReplicas", terminating),
    ...counted("observedGeneration", replicaSet.metadata.generation ?? 0),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

/** The milliseconds until a pod that is ready becomes available, if any is waiting for that. */
export function nextAvailabilityMs(input: ReplicaSetStatusInput): number | undefined {
  const minReadySeconds = input.replicaSet.spec?.minReadySeconds ?? 0;
  const waits = input.pods
    .filter(isPodActive)
    .map((pod) => (availableAtMs(pod, minReadySeconds) ?? 0) - input.nowMs)
    .filter((waitMs) => waitMs > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** Kubernetes leaves zeros out. */
function counted<Field extends string>(field: Field, value: number): { [K in Field]?: number } {
  return value === 0 ? {} : ({ [field]: value } as { [K in Field]?: number });
}

function conditionsOf({
  replicaSet,
  failure,
  nowMs,
}: ReplicaSetStatusInput): ReplicaSetCondition[] {
  const known = replicaSet.status?.conditions ?? [];
  const others = known.filter(({ type }) => type !== "ReplicaFailure");
  if (failure === undefined) return others;
  const current = known.find(({ type }) => type === "ReplicaFailure");
  if (current?.status === "True" && current.reason === failure.reason) return known;
  const lastTransitionTime = rfc3339(nowMs);
  return [...others, { type: "ReplicaFailure", status: "True", lastTransitionTime, ...failure }];
}
