import { labelSelectorFrom, matchesLabels } from "../../apimachinery/index.ts";
import type { Deployment, DeploymentStatus, Pod, ReplicaSet } from "../../api/index.ts";
import { deepEqual } from "../deep-equal.ts";
import { controllerOf, controllerReference } from "../owner-reference.ts";
import { isPodFinished } from "../pod-state.ts";
import { rollingBounds } from "./bounds.ts";
import type { RollingBounds } from "./bounds.ts";
import {
  currentAnnotations,
  replicasOf,
  REVISION,
  revisionOf,
  sizeAnnotations,
  splitByTemplate,
} from "./revision.ts";
import { growCurrent, shrinkOld } from "./rolling.ts";
import type { Resize } from "./rolling.ts";
import { isScalingEvent, planScaling } from "./scaling.ts";
import { deadlineInMs, deploymentStatus, isComplete } from "./status.ts";
import { TEMPLATE_HASH_LABEL, templateHash } from "./template-hash.ts";

export const DEPLOYMENT_TYPE = { apiVersion: "apps/v1", kind: "Deployment" } as const;
const DEFAULT_HISTORY_LIMIT = 10;

export interface DeploymentObserved {
  readonly deployment: Deployment;
  /** The ReplicaSets it controls. */
  readonly replicaSets: readonly ReplicaSet[];
  /** The pods of those ReplicaSets, those on their way out included. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export type DeploymentAction =
  | { readonly type: "create-replica-set"; readonly replicaSet: ReplicaSet }
  /** Replicas and annotations together, in one write guarded by the revision observed. */
  | {
      readonly type: "scale";
      readonly replicaSet: ReplicaSet;
      readonly replicas: number;
      readonly annotations: Record<string, string>;
    }
  /** Annotations or minReadySeconds of the current ReplicaSet follow the Deployment's. */
  | { readonly type: "update-replica-set"; readonly replicaSet: ReplicaSet }
  | { readonly type: "delete-replica-set"; readonly replicaSet: ReplicaSet }
  | { readonly type: "annotate"; readonly annotations: Record<string, string> }
  | { readonly type: "status"; readonly status: DeploymentStatus }
  /** Nothing will happen by itself before then, and something is due. */
  | { readonly type: "look-again"; readonly afterMs: number };

/**
 * One step towards what a Deployment asks for. A step that changes a ReplicaSet ends there: its
 * effect arrives as an event, and with it the next look. So the bounds of a rolling update are
 * always computed from numbers that were all true at once.
 */
export function planDeployment(observed: DeploymentObserved): readonly DeploymentAction[] {
  const { deployment, replicaSets } = observed;
  const bounds = rollingBounds(deployment);
  const { current, old } = splitByTemplate(deployment, replicaSets);
  const view: View = { ...observed, bounds, current, old };
  if (deployment.metadata.deletionTimestamp !== undefined) return statusOf(view);
  if (selectsEverything(deployment)) return statusOf(view);
  if (deployment.spec?.paused || isScalingEvent(bounds, replicaSets)) {
    const resizes = planScaling(deployment, bounds, current, old);
    const history = deployment.spec?.paused ? cleanUp(view) : [];
    return [...adjustCurrent(view), ...resized(view, resizes), ...history, ...statusOf(view)];
  }
  const steps = deployment.spec?.strategy?.type === "Recreate" ? recreate(view) : roll(view);
  if (steps.length > 0) return steps;
  return [...adjustCurrent(view), ...cleanUp(view), ...statusOf(view)];
}

interface View extends DeploymentObserved {
  readonly bounds: RollingBounds;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

function roll(view: View): readonly DeploymentAction[] {
  const { bounds, current, old } = view;
  const replicas = growCurrent(bounds, current, old);
  if (current === undefined) return createCurrent(view, replicas);
  if (replicas !== replicasOf(current)) {
    return resizeStep(view, [{ replicaSet: current, replicas }]);
  }
  return resizeStep(view, shrinkOld(bounds, current, old));
}

/** All old pods are gone before the first new one is made. */
function recreate(view: View): readonly DeploymentAction[] {
  const { bounds, current, old, pods } = view;
  const active = old.filter((replicaSet) => replicasOf(replicaSet) > 0);
  if (active.length > 0) {
    return resizeStep(
      view,
      active.map((replicaSet) => ({ replicaSet, replicas: 0 })),
    );
  }
  const oldUids = new Set(old.map(({ metadata }) => metadata.uid));
  const oldPods = pods.filter((pod) => oldUids.has(controllerOf(pod)?.uid) && !isPodFinished(pod));
  if (oldPods.length > 0) return statusOf(view);
  if (current === undefined) return createCurrent(view, bounds.desired);
  if (replicasOf(current) === bounds.desired) return [];
  return resizeStep(view, [{ replicaSet: current, replicas: bounds.desired }]);
}

function createCurrent(view: View, replicas: number): readonly DeploymentAction[] {
  const { deployment, old, bounds } = view;
  const replicaSet = newReplicaSet(deployment, old, bounds, replicas);
  const message = `Created new replica set "${replicaSet.metadata.name}"`;
  const revision = replicaSet.metadata.annotations?.[REVISION];
  return [
    { type: "create-replica-set", replicaSet },
    ...annotated(deployment, revision),
    ...statusOf(view, { reason: "NewReplicaSetCreated", message }),
  ];
}

function newReplicaSet(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  bounds: RollingBounds,
  replicas: number,
): ReplicaSet {
  const { selector, template = {}, minReadySeconds } = deployment.spec ?? { selector: {} };
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [TEMPLATE_HASH_LABEL]: hash };
  const { namespace } = deployment.metadata;
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: {
        ...currentAnnotations(deployment, undefined, old),
        ...sizeAnnotations(bounds.desired, bounds.maxSurge),
      },
      ownerReferences: [controllerReference(deployment, DEPLOYMENT_TYPE)],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: {
        ...selector,
        matchLabels: { ...selector.matchLabels, [TEMPLATE_HASH_LABEL]: hash },
      },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function resizeStep(view: View, resizes: readonly Resize[]): readonly DeploymentAction[] {
  if (resizes.length === 0) return [];
  return [...adjustCurrent(view), ...resized(view, resizes), ...statusOf(view)];
}

function resized(view: View, resizes: readonly Resize[]): readonly DeploymentAction[] {
  const { desired, maxSurge } = view.bounds;
  return resizes.map(({ replicaSet, replicas }) => ({
    type: "scale",
    replicaSet,
    replicas,
    annotations: {
      ...replicaSet.metadata.annotations,
      ...(replicaSet === view.current
        ? currentAnnotations(view.deployment, view.current, view.old)
        : {}),
      ...sizeAnnotations(desired, maxSurge),
    },
  }));
}

/** Lets the current ReplicaSet and the Deployment agree on revision and minReadySeconds. */
function adjustCurrent(view: View): readonly DeploymentAction[] {
  const { deployment, current, old } = view;
  if (current === undefined) return [];
  const annotations = currentAnnotations(deployment, current, old);
  const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
  const agrees =
    deepEqual(annotations, current.metadata.annotations ?? {}) &&
    minReadySeconds === (current.spec?.minReadySeconds ?? 0);
  const follow: DeploymentAction[] = [];
  if (!agrees && current.spec !== undefined) {
    const metadata = { ...current.metadata, annotations };
    const replicaSet = { ...current, metadata, spec: { ...current.spec, minReadySeconds } };
    follow.push({ type: "update-replica-set", replicaSet });
  }
  return [...follow, ...annotated(deployment, annotations[REVISION])];
}

function annotated(
  deployment: Deployment,
  revision: string | undefined,
): readonly DeploymentAction[] {
  if (revision === undefined || deployment.metadata.annotations?.[REVISION] === revision) return [];
  return [{ type: "annotate", annotations: { [REVISION]: revision } }];
}

/** Old ReplicaSets beyond the history limit go, lowest revision first, once all is rolled out. */
function cleanUp(view: View): readonly DeploymentAction[] {
  const { deployment, old } = view;
  if (!deployment.spec?.paused && !isComplete(view)) return [];
  const limit = deployment.spec?.revisionHistoryLimit ?? DEFAULT_HISTORY_LIMIT;
  const alive = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const empty = alive.filter(
    (replicaSet) =>
      replicasOf(replicaSet) === 0 &&
      (replicaSet.status?.replicas ?? 0) === 0 &&
      (replicaSet.metadata.generation ?? 0) <= (replicaSet.status?.observedGeneration ?? 0),
  );
  return empty
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, alive.length - limit))
    .map((replicaSet) => ({ type: "delete-replica-set", replicaSet }));
}

function statusOf(
  view: View,
  step?: { readonly reason: string; readonly message: string },
): readonly DeploymentAction[] {
  const { deployment, nowMs } = view;
  const status = deploymentStatus({ ...view, step });
  const afterMs = deadlineInMs(deployment, status, nowMs);
  return [
    ...(deepEqual(status, deployment.status) ? [] : [{ type: "status", status } as const]),
    ...(afterMs === undefined ? [] : [{ type: "look-again", afterMs } as const]),
  ];
}

/** An empty selector would claim every pod of the namespace; nothing is done with it. */
function selectsEverything(deployment: Deployment): boolean {
  const { matchLabels = {}, matchExpressions = [] } = deployment.spec?.selector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

/** True when a ReplicaSet's labels are what the Deployment selects. */
export function selectsReplicaSet(deployment: Deployment, replicaSet: ReplicaSet): boolean {
  const selector = labelSelectorFrom(deployment.spec?.selector);
  return matchesLabels(selector, replicaSet.metadata.labels);
}
