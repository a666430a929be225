import type { ReplicaSet } from "../../api/index.ts";
import type { RollingBounds } from "./bounds.ts";
import { availableOf, byAge, replicasOf, totalOf } from "./revision.ts";

/** A ReplicaSet and the number of replicas it should have from now on. */
export interface Resize {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/**
 * Replicas for the current ReplicaSet such that all together stay within desired + maxSurge. With
 * nothing there yet (`current` undefined) these are the replicas it is made with.
 */
export function growCurrent(
  bounds: RollingBounds,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): number {
  const now = current === undefined ? 0 : replicasOf(current);
  if (now >= bounds.desired) return bounds.desired;
  if (!old.every(isObserved) || (current !== undefined && isShrinking(current))) return now;
  const total = now + totalOf(old, occupiedBy);
  const room = bounds.desired + bounds.maxSurge - total;
  return now + Math.max(0, Math.min(room, bounds.desired - now));
}

/** Its controller has seen its size; before that nobody knows how many pods there are. */
function isObserved({ metadata, status }: ReplicaSet): boolean {
  return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
}

/**
 * Fewer pods are wanted than were there last. Growing it now would let pods that are already gone
 * pass for available ones of its new size.
 */
function isShrinking(replicaSet: ReplicaSet): boolean {
  return !isObserved(replicaSet) || (replicaSet.status?.replicas ?? 0) > replicasOf(replicaSet);
}

/** Pods that are there or may still be made. */
function occupiedBy(replicaSet: ReplicaSet): number {
  return Math.max(replicasOf(replicaSet), replicaSet.status?.replicas ?? 0);
}

/**
 * Scales old ReplicaSets down so far that desired − maxUnavailable pods stay available, whatever
 * happens to the pods that are not: first what never became available (it serves nobody), then the
 * rest, oldest first.
 */
export function shrinkOld(
  bounds: RollingBounds,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): readonly Resize[] {
  const minAvailable = bounds.desired - bounds.maxUnavailable;
  const total = replicasOf(current) + totalOf(old, replicasOf);
  const currentMissing = replicasOf(current) - availableOf(current);
  const budget = total - minAvailable - currentMissing;
  if (budget <= 0) return [];
  const planned = new Map(old.map((replicaSet) => [replicaSet, replicasOf(replicaSet)]));
  let left = budget;
  for (const replicaSet of byAge(old)) {
    const idle = Math.min(left, replicasOf(replicaSet) - availableOf(replicaSet));
    planned.set(replicaSet, replicasOf(replicaSet) - idle);
    left -= idle;
  }
  const spare = totalOf([current, ...old], availableOf) - minAvailable;
  left = Math.max(0, Math.min(left, spare));
  for (const replicaSet of byAge(old)) {
    const rest = planned.get(replicaSet) ?? 0;
    const taken = Math.min(left, rest);
    planned.set(replicaSet, rest - taken);
    left -= taken;
  }
  return [...planned]
    .map(([replicaSet, replicas]) => ({ replicaSet, replicas }))
    .filter(({ replicaSet, replicas }) => replicas !== replicasOf(replicaSet));
}
