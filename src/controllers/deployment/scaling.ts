import type { Deployment, ReplicaSet } from "../../api/index.ts";
import type { RollingBounds } from "./bounds.ts";
import { byAge, DESIRED_REPLICAS, MAX_REPLICAS, replicasOf, totalOf } from "./revision.ts";
import type { Resize } from "./rolling.ts";

/** True when the size of the Deployment has changed since its ReplicaSets got their share. */
export function isScalingEvent(bounds: RollingBounds, replicaSets: readonly ReplicaSet[]): boolean {
  return replicaSets.some((replicaSet) => {
    const desired = replicaSet.metadata.annotations?.[DESIRED_REPLICAS];
    return (
      replicasOf(replicaSet) > 0 && desired !== undefined && Number(desired) !== bounds.desired
    );
  });
}

/**
 * Spreads a new size over the ReplicaSets in the proportion they have, so that an update in flight
 * keeps its balance. What rounding leaves goes to the largest.
 */
export function planScaling(
  deployment: Deployment,
  bounds: RollingBounds,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly Resize[] {
  const sole = activeOrLatest(current, old);
  if (sole !== undefined) {
    return replicasOf(sole) === bounds.desired && !isStale(sole, bounds)
      ? []
      : [{ replicaSet: sole, replicas: bounds.desired }];
  }
  const active = old.filter((replicaSet) => replicasOf(replicaSet) > 0);
  if (current !== undefined && isSaturated(bounds, current)) {
    return active.map((replicaSet) => ({ replicaSet, replicas: 0 }));
  }
  if (deployment.spec?.strategy?.type === "Recreate") return [];
  const sharing = current === undefined ? active : [...active, current];
  return share(deployment, bounds, sharing);
}

function share(
  deployment: Deployment,
  bounds: RollingBounds,
  sharing: readonly ReplicaSet[],
): readonly Resize[] {
  const allowed = bounds.desired > 0 ? bounds.desired + bounds.maxSurge : 0;
  const toAdd = allowed - totalOf(sharing, replicasOf);
  // The largest first; of equals the newest when growing, the oldest when shrinking.
  const sorted = byAge(sharing);
  if (toAdd > 0) sorted.reverse();
  sorted.sort((a, b) => replicasOf(b) - replicasOf(a));
  let added = 0;
  const sizes = sorted.map((replicaSet) => {
    const fraction = toAdd === 0 ? 0 : fractionOf(deployment, allowed, replicaSet);
    const left = toAdd - added;
    const step = toAdd > 0 ? clamp(fraction, 0, left) : clamp(fraction, left, 0);
    added += step;
    return replicasOf(replicaSet) + step;
  });
  if (sizes[0] !== undefined) sizes[0] = Math.max(0, sizes[0] + toAdd - added);
  return sorted.map((replicaSet, index) => ({ replicaSet, replicas: sizes[index] ?? 0 }));
}

/** What a ReplicaSet gains or loses when it keeps its share of the whole. */
function fractionOf(deployment: Deployment, allowed: number, replicaSet: ReplicaSet): number {
  const replicas = replicasOf(replicaSet);
  const annotated = Number(replicaSet.metadata.annotations?.[MAX_REPLICAS] ?? 0);
  const whole = annotated > 0 ? annotated : (deployment.status?.replicas ?? 0);
  return whole === 0 ? 0 : Math.round((replicas * allowed) / whole) - replicas;
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function isStale(replicaSet: ReplicaSet, bounds: RollingBounds): boolean {
  const desired = replicaSet.metadata.annotations?.[DESIRED_REPLICAS];
  return desired !== undefined && Number(desired) !== bounds.desired;
}

function isSaturated(bounds: RollingBounds, current: ReplicaSet): boolean {
  return (
    replicasOf(current) === bounds.desired &&
    Number(current.metadata.annotations?.[DESIRED_REPLICAS]) === bounds.desired &&
    current.status?.availableReplicas === bounds.desired
  );
}

/** The one ReplicaSet with replicas; with none, the current or else the latest; else undefined. */
function activeOrLatest(
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): ReplicaSet | undefined {
  const all = current === undefined ? old : [...old, current];
  const active = all.filter((replicaSet) => replicasOf(replicaSet) > 0);
  if (active.length === 0) return current ?? byAge(old).at(-1);
  return active.length === 1 ? active[0] : undefined;
}
