import type { Deployment, IntOrString } from "../../api/index.ts";

/** How far a rolling update may stray from the wanted number of pods. */
export interface RollingBounds {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

const DEFAULT_STEP = "25%";

/**
 * The bounds in pods: a percentage of maxSurge rounds up, one of maxUnavailable down, and when both
 * come out as nothing one pod may be missing, or the update could never move.
 */
export function rollingBounds(deployment: Deployment): RollingBounds {
  const desired = deployment.spec?.replicas ?? 1;
  const { type, rollingUpdate } = deployment.spec?.strategy ?? {};
  if (type === "Recreate") return { desired, maxSurge: 0, maxUnavailable: 0 };
  const maxSurge = inPods(rollingUpdate?.maxSurge ?? DEFAULT_STEP, desired, Math.ceil);
  const wanted = inPods(rollingUpdate?.maxUnavailable ?? DEFAULT_STEP, desired, Math.floor);
  const maxUnavailable = maxSurge === 0 && wanted === 0 ? 1 : wanted;
  return { desired, maxSurge, maxUnavailable: Math.min(maxUnavailable, desired) };
}

function inPods(step: IntOrString, desired: number, round: (n: number) => number): number {
  if (typeof step === "number") return step;
  const percent = Number(step.replace(/%$/, ""));
  return Number.isFinite(percent) ? round((percent * desired) / 100) : 0;
}
