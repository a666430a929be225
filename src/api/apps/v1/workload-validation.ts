import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
  labelSelectorFrom,
  matchesLabels,
  notSupportedField,
  requiredField,
} from "../../../apimachinery/index.ts";
import { checkLongRunning, checkPodTemplate } from "../../core/v1/pod-spec-validation.ts";
import type { PodTemplateSpec } from "../../core/v1/types.ts";
import { checkClaimSpec } from "../../core/v1/persistent-volume-claim-validation.ts";
import {
  checkAtMostAll,
  checkImmutable,
  checkIntOrPercent,
  checkNonNegative,
  checkOneOf,
} from "../../field-checks.ts";
import { checkLabelSelector, isEmptySelector } from "../../meta/v1/labels-validation.ts";
import type { LabelSelector } from "../../meta/v1/types.ts";
import type {
  DaemonSet,
  DaemonSetSpec,
  Deployment,
  DeploymentStrategy,
  ReplicaSet,
  StatefulSet,
  StatefulSetSpec,
} from "./types.ts";

const SPEC = FieldPath.root("spec");

export function validateDeployment(deployment: Deployment): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<NonNullable<Deployment["spec"]>> = deployment.spec ?? {};
  checkNonNegative(errors, SPEC.child("replicas"), spec.replicas);
  checkSelected(errors, spec.selector, spec.template, "deployment");
  checkLongRunning(errors, SPEC.child("template"), spec.template, "ReplicaSet");
  checkStrategy(errors, SPEC.child("strategy"), spec.strategy ?? {});
  checkNonNegative(errors, SPEC.child("minReadySeconds"), spec.minReadySeconds);
  checkNonNegative(errors, SPEC.child("revisionHistoryLimit"), spec.revisionHistoryLimit);
  const deadline = spec.progressDeadlineSeconds;
  checkNonNegative(errors, SPEC.child("progressDeadlineSeconds"), deadline);
  if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0)) {
    const path = SPEC.child("progressDeadlineSeconds");
    errors.push(invalidField(path, deadline, "must be greater than minReadySeconds"));
  }
  return errors;
}

export function validateReplicaSet(replicaSet: ReplicaSet): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<NonNullable<ReplicaSet["spec"]>> = replicaSet.spec ?? {};
  checkNonNegative(errors, SPEC.child("replicas"), spec.replicas);
  checkNonNegative(errors, SPEC.child("minReadySeconds"), spec.minReadySeconds);
  checkSelected(errors, spec.selector, spec.template, "deployment");
  checkLongRunning(errors, SPEC.child("template"), spec.template, "ReplicaSet");
  return errors;
}

/** Deployments, ReplicaSets and DaemonSets keep their selector: pods would be orphaned. */
export function validateSelectorUpdate(
  next: Deployment | ReplicaSet | DaemonSet,
  old: Deployment | ReplicaSet | DaemonSet,
): FieldError[] {
  const errors: FieldError[] = [];
  checkImmutable(errors, SPEC.child("selector"), next.spec?.selector, old.spec?.selector);
  return errors;
}

export function validateStatefulSet(statefulSet: StatefulSet): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<StatefulSetSpec> = statefulSet.spec ?? {};
  const { podManagementPolicy: policy = "", updateStrategy } = spec;
  if (policy === "") {
    errors.push(requiredField(SPEC.child("podManagementPolicy")));
  } else if (policy !== "OrderedReady" && policy !== "Parallel") {
    const detail = "must be 'OrderedReady' or 'Parallel'";
    errors.push(invalidField(SPEC.child("podManagementPolicy"), policy, detail));
  }
  checkStatefulStrategy(errors, SPEC.child("updateStrategy"), updateStrategy ?? {});
  checkNonNegative(errors, SPEC.child("replicas"), spec.replicas);
  checkNonNegative(errors, SPEC.child("minReadySeconds"), spec.minReadySeconds);
  checkNonNegative(errors, SPEC.child("ordinals", "start"), spec.ordinals?.start);
  checkSelected(errors, spec.selector, spec.template, "statefulset");
  checkLongRunning(errors, SPEC.child("template"), spec.template, "StatefulSet");
  for (const [index, claim] of (spec.volumeClaimTemplates ?? []).entries()) {
    const at = SPEC.child("volumeClaimTemplates").index(index);
    checkClaimSpec(errors, at.child("spec"), claim.spec ?? {});
  }
  return errors;
}

const STATEFUL_MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

export function validateStatefulSetUpdate(next: StatefulSet, old: StatefulSet): FieldError[] {
  if (jsonEquals(fixedPart(next), fixedPart(old))) return [];
  const detail =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', " +
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and " +
    "'minReadySeconds' are forbidden";
  return [forbiddenField(SPEC, detail)];
}

function fixedPart({ spec }: StatefulSet): unknown {
  const fixed: Partial<StatefulSetSpec> = { ...spec };
  for (const field of STATEFUL_MUTABLE) delete fixed[field];
  return fixed;
}

export function validateDaemonSet(daemonSet: DaemonSet): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<DaemonSetSpec> = daemonSet.spec ?? {};
  checkSelected(errors, spec.selector, spec.template, "daemonset");
  checkLongRunning(errors, SPEC.child("template"), spec.template, "DaemonSet");
  checkNonNegative(errors, SPEC.child("minReadySeconds"), spec.minReadySeconds);
  const path = SPEC.child("updateStrategy");
  const strategy = spec.updateStrategy ?? {};
  checkOneOf(errors, path.child("type"), strategy.type, ["OnDelete", "RollingUpdate"]);
  const { maxUnavailable, maxSurge } = strategy.rollingUpdate ?? {};
  for (const [field, value] of Object.entries({ maxUnavailable, maxSurge })) {
    checkIntOrPercent(errors, path.child("rollingUpdate", field), value);
    checkAtMostAll(errors, path.child("rollingUpdate", field), value);
  }
  checkNonNegative(errors, SPEC.child("revisionHistoryLimit"), spec.revisionHistoryLimit);
  return errors;
}

/** The selector must say something, and select the pods of the template. */
function checkSelected(
  errors: FieldError[],
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  kind: string,
): void {
  const path = SPEC.child("selector");
  const before = errors.length;
  if (selector === undefined) errors.push(requiredField(path));
  else {
    checkLabelSelector(errors, path, selector);
    if (isEmptySelector(selector)) {
      errors.push(invalidField(path, selector, `empty selector is invalid for ${kind}`));
    }
  }
  // No selector selects nothing, and so not the template either.
  const isMissing = selector === undefined;
  const isUsable = errors.length === before || isMissing;
  const labels = template?.metadata?.labels ?? {};
  if (isUsable && (isMissing || !matchesLabels(labelSelectorFrom(selector), labels))) {
    const at = SPEC.child("template", "metadata", "labels");
    const detail = "`selector` does not match template `labels`";
    errors.push(invalidField(at, labels, detail));
  }
  checkPodTemplate(errors, SPEC.child("template"), template);
}

function checkStrategy(errors: FieldError[], path: FieldPath, strategy: DeploymentStrategy): void {
  const { type = "", rollingUpdate } = strategy;
  switch (type) {
    case "Recreate":
      if (rollingUpdate !== undefined) {
        const detail = "may not be specified when strategy `type` is 'Recreate'";
        errors.push(forbiddenField(path.child("rollingUpdate"), detail));
      }
      break;
    case "RollingUpdate": {
      const at = path.child("rollingUpdate");
      const { maxUnavailable, maxSurge } = rollingUpdate ?? {};
      checkIntOrPercent(errors, at.child("maxUnavailable"), maxUnavailable);
      checkIntOrPercent(errors, at.child("maxSurge"), maxSurge);
      if (isZero(maxUnavailable) && isZero(maxSurge)) {
        const detail = "may not be 0 when `maxSurge` is 0";
        errors.push(invalidField(at.child("maxUnavailable"), maxUnavailable ?? 0, detail));
      }
      checkAtMostAll(errors, at.child("maxUnavailable"), maxUnavailable);
      break;
    }
    default: {
      const supported = ["Recreate", "RollingUpdate"];
      errors.push(notSupportedField(path.child("type"), type, supported));
    }
  }
}

function isZero(value: number | string | undefined): boolean {
  return value === undefined || Number.parseInt(String(value), 10) === 0;
}

function checkStatefulStrategy(
  errors: FieldError[],
  path: FieldPath,
  strategy: NonNullable<StatefulSetSpec["updateStrategy"]>,
): void {
  const { type = "", rollingUpdate } = strategy;
  if (type === "") errors.push(requiredField(path.child("type")));
  else if (type !== "RollingUpdate" && type !== "OnDelete") {
    const detail = "must be 'RollingUpdate' or 'OnDelete'";
    errors.push(invalidField(path.child("type"), type, detail));
  } else if (type === "OnDelete" && rollingUpdate !== undefined) {
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    errors.push(invalidField(path.child("rollingUpdate"), rollingUpdate, detail));
  }
  const at = path.child("rollingUpdate", "partition");
  checkNonNegative(errors, at, rollingUpdate?.partition);
}
