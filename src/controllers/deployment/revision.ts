import type { Deployment, ReplicaSet } from "../../api/index.ts";
import { hasSameTemplate } from "./template-hash.ts";

export const REVISION = "deployment.kubernetes.io/revision";
const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";

/** Annotations of a Deployment that speak of itself, not of what it rolls out. */
const NOT_COPIED = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "deprecated.deployment.rollback.to",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
]);

export function revisionOf(replicaSet: ReplicaSet): number {
  const revision = Number(replicaSet.metadata.annotations?.[REVISION] ?? 0);
  return Number.isInteger(revision) ? revision : 0;
}

export function replicasOf(replicaSet: ReplicaSet): number {
  return replicaSet.spec?.replicas ?? 1;
}

/** What is surely available: a status from before a scaling down may still count too many. */
export function availableOf(replicaSet: ReplicaSet): number {
  return Math.min(replicaSet.status?.availableReplicas ?? 0, replicasOf(replicaSet));
}

export function totalOf(
  replicaSets: readonly ReplicaSet[],
  count: (replicaSet: ReplicaSet) => number,
): number {
  return replicaSets.reduce((sum, replicaSet) => sum + count(replicaSet), 0);
}

/** Oldest first. */
export function byAge(replicaSets: readonly ReplicaSet[]): ReplicaSet[] {
  const born = (replicaSet: ReplicaSet): string =>
    `${replicaSet.metadata.creationTimestamp ?? ""} ${replicaSet.metadata.name ?? ""}`;
  return replicaSets.toSorted((a, b) => (born(a) < born(b) ? -1 : 1));
}

/** The ReplicaSet of the template that is wanted now, and the others, oldest first. */
export function splitByTemplate(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
): { readonly current: ReplicaSet | undefined; readonly old: readonly ReplicaSet[] } {
  const sorted = byAge(replicaSets);
  const current = sorted.find((replicaSet) => hasSameTemplate(deployment, replicaSet));
  return { current, old: sorted.filter((replicaSet) => replicaSet !== current) };
}

/**
 * The annotations the current ReplicaSet should carry: the Deployment's own, and a revision above
 * all others. One that had a lower revision is being rolled back to; its history remembers that.
 */
export function currentAnnotations(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): Record<string, string> {
  const annotations: Record<string, string> = { ...current?.metadata.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!NOT_COPIED.has(key)) annotations[key] = value;
  }
  const known = current === undefined ? 0 : revisionOf(current);
  const next = Math.max(0, ...old.map(revisionOf)) + 1;
  if (known >= next) return annotations;
  annotations[REVISION] = String(next);
  if (known > 0) {
    const history = annotations[REVISION_HISTORY];
    annotations[REVISION_HISTORY] = history === undefined ? String(known) : `${history},${known}`;
  }
  return annotations;
}

/** What scaling needs to know of the size a ReplicaSet was given its share of. */
export function sizeAnnotations(desired: number, maxSurge: number): Record<string, string> {
  return { [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(desired + maxSurge) };
}
