import { parseRfc3339, rfc3339 } from "../../apimachinery/index.ts";
import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from "../../api/index.ts";
import type { RollingBounds } from "./bounds.ts";
import { replicasOf, totalOf } from "./revision.ts";

export interface DeploymentStatusInput {
  readonly deployment: Deployment;
  readonly bounds: RollingBounds;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly nowMs: number;
  /** What this look has just done; it is progress whatever the numbers say. */
  readonly step?: { readonly reason: string; readonly message: string } | undefined;
  readonly collisionCount?: number | undefined;
}

/** Kubernetes' way to say that there is no deadline. */
const NO_DEADLINE = 2_147_483_647;

/** The status of a Deployment from its ReplicaSets. */
export function deploymentStatus(input: DeploymentStatusInput): DeploymentStatus {
  const counts = countsOf(input);
  const conditions = conditionsOf(input, counts);
  const collisionCount = input.collisionCount ?? input.deployment.status?.collisionCount;
  const { replicas, updatedReplicas, readyReplicas, availableReplicas } = counts;
  const { unavailableReplicas, terminatingReplicas, observedGeneration } = counts;
  const numbers = {
    observedGeneration,
    replicas,
    updatedReplicas,
    readyReplicas,
    availableReplicas,
    unavailableReplicas,
    terminatingReplicas,
  };
  return {
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)),
    conditions,
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
}

/** Everything wanted runs, is available, and nothing old is left. */
export function isComplete(input: DeploymentStatusInput): boolean {
  return isCompleteCount(input, countsOf(input));
}

/** Milliseconds until the progress deadline passes, if one is running. */
export function deadlineInMs(
  deployment: Deployment,
  status: DeploymentStatus,
  nowMs: number,
): number | undefined {
  const progressing = conditionOf(status, "Progressing");
  const seconds = deployment.spec?.progressDeadlineSeconds ?? NO_DEADLINE;
  if (progressing === undefined || seconds === NO_DEADLINE || deployment.spec?.paused) {
    return undefined;
  }
  const settled = ["NewReplicaSetAvailable", "ProgressDeadlineExceeded"];
  if (settled.includes(progressing.reason ?? "")) return undefined;
  return Math.max(0, updatedAtMs(progressing) + seconds * 1000 - nowMs) + 1000;
}

interface Counts {
  readonly observedGeneration: number;
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly unavailableReplicas: number;
  readonly terminatingReplicas: number;
}

function countsOf({ deployment, current, old }: DeploymentStatusInput): Counts {
  const all = current === undefined ? old : [...old, current];
  const availableReplicas = totalOf(all, ({ status }) => status?.availableReplicas ?? 0);
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: totalOf(all, ({ status }) => status?.replicas ?? 0),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: totalOf(all, ({ status }) => status?.readyReplicas ?? 0),
    availableReplicas,
    unavailableReplicas: Math.max(0, totalOf(all, replicasOf) - availableReplicas),
    terminatingReplicas: totalOf(all, ({ status }) => status?.terminatingReplicas ?? 0),
  };
}

function isCompleteCount({ bounds }: DeploymentStatusInput, counts: Counts): boolean {
  return (
    counts.updatedReplicas === bounds.desired &&
    counts.replicas === bounds.desired &&
    counts.availableReplicas === bounds.desired
  );
}

function conditionsOf(input: DeploymentStatusInput, counts: Counts): DeploymentCondition[] {
  const wanted = [
    availability(input, counts),
    progress(input, counts),
    replicaFailure(input),
  ].filter((condition) => condition !== undefined);
  const ours = new Set(["Available", "Progressing", "ReplicaFailure"]);
  const known = input.deployment.status?.conditions ?? [];
  return [...known.filter(({ type }) => !ours.has(type)), ...wanted];
}

interface Told {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The same status and reason as before keep the condition as it is, times included. */
function told(input: DeploymentStatusInput, condition: Told): DeploymentCondition {
  const current = conditionOf(input.deployment.status, condition.type);
  if (current?.status === condition.status && current.reason === condition.reason) return current;
  return stamped(input, condition);
}

/** Told anew: the update's time moves, that of the last transition only with the status. */
function stamped(input: DeploymentStatusInput, condition: Told): DeploymentCondition {
  const current = conditionOf(input.deployment.status, condition.type);
  const now = rfc3339(input.nowMs);
  const same = current?.status === condition.status;
  const lastTransitionTime = same ? (current.lastTransitionTime ?? now) : now;
  return { ...condition, lastUpdateTime: now, lastTransitionTime };
}

function availability(input: DeploymentStatusInput, counts: Counts): DeploymentCondition {
  const { desired, maxUnavailable } = input.bounds;
  return counts.availableReplicas >= desired - maxUnavailable
    ? told(input, {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      })
    : told(input, {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      });
}

function progress(input: DeploymentStatusInput, counts: Counts): DeploymentCondition | undefined {
  const { deployment, current, step, nowMs } = input;
  const deadlineSeconds = deployment.spec?.progressDeadlineSeconds ?? NO_DEADLINE;
  if (deadlineSeconds === NO_DEADLINE) return undefined;
  const known = conditionOf(deployment.status, "Progressing");
  const say = (status: string, reason: string, message: string): Told => ({
    type: "Progressing",
    status,
    reason,
    message,
  });
  if (deployment.spec?.paused) {
    if (known?.reason === "ProgressDeadlineExceeded") return known;
    return told(input, say("Unknown", "DeploymentPaused", "Deployment is paused"));
  }
  if (step !== undefined) return stamped(input, say("True", step.reason, step.message));
  const who =
    current === undefined
      ? `Deployment "${deployment.metadata.name}"`
      : `ReplicaSet "${current.metadata.name}"`;
  if (known?.reason === "NewReplicaSetAvailable" && counts.replicas === counts.updatedReplicas) {
    return known;
  }
  if (isCompleteCount(input, counts)) {
    const message = `${who} has successfully progressed.`;
    return told(input, say("True", "NewReplicaSetAvailable", message));
  }
  if (hasProgressed(deployment.status, counts)) {
    return stamped(input, say("True", "ReplicaSetUpdated", `${who} is progressing.`));
  }
  if (known === undefined) return undefined;
  if (known.reason === "DeploymentPaused") {
    return stamped(input, say("Unknown", "DeploymentResumed", "Deployment is resumed"));
  }
  const isOver = updatedAtMs(known) + deadlineSeconds * 1000 < nowMs;
  const counted = known.reason !== "NewReplicaSetAvailable";
  if (!isOver || !counted) return known;
  return told(input, say("False", "ProgressDeadlineExceeded", `${who} has timed out progressing.`));
}

function hasProgressed(before: DeploymentStatus | undefined, counts: Counts): boolean {
  const oldBefore = (before?.replicas ?? 0) - (before?.updatedReplicas ?? 0);
  return (
    counts.updatedReplicas > (before?.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > (before?.readyReplicas ?? 0) ||
    counts.availableReplicas > (before?.availableReplicas ?? 0)
  );
}

/** A ReplicaSet that cannot make pods is the Deployment's trouble too. */
function replicaFailure(input: DeploymentStatusInput): DeploymentCondition | undefined {
  const failing = [input.current, ...input.old].flatMap((replicaSet) =>
    (replicaSet?.status?.conditions ?? []).filter(
      ({ type, status }) => type === "ReplicaFailure" && status === "True",
    ),
  );
  const first = failing[0];
  if (first === undefined) return undefined;
  const { reason = "FailedCreate", message = "" } = first;
  return told(input, { type: "ReplicaFailure", status: "True", reason, message });
}

function conditionOf(
  status: DeploymentStatus | undefined,
  type: string,
): DeploymentCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function updatedAtMs(condition: DeploymentCondition): number {
  const ms = parseRfc3339(condition.lastUpdateTime ?? condition.lastTransitionTime ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}
