import {
  type FieldError,
  FieldPath,
  invalidField,
  requiredField,
  validatePathSegmentName,
} from "../../../apimachinery/index.ts";
import {
  checkName,
  checkNonNegative,
  checkOneOf,
  checkPositive,
  checkPresent,
} from "../../field-checks.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerSpec,
  HPAScalingRules,
  MetricSpec,
  MetricTarget,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const METRIC_TYPES = ["ContainerResource", "External", "Object", "Pods", "Resource"] as const;
const MAX_WINDOW_SECONDS = 3600;
const MAX_PERIOD_SECONDS = 1800;

const SOURCE_FIELD = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;

export function validateHorizontalPodAutoscaler(autoscaler: HorizontalPodAutoscaler): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<HorizontalPodAutoscalerSpec> = autoscaler.spec ?? {};
  const { minReplicas, maxReplicas = 0 } = spec;
  if (minReplicas !== undefined && minReplicas < 1) {
    const detail = "must be greater than or equal to 1";
    errors.push(invalidField(SPEC.child("minReplicas"), minReplicas, detail));
  }
  checkPositive(errors, SPEC.child("maxReplicas"), maxReplicas);
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    const detail = "must be greater than or equal to `minReplicas`";
    errors.push(invalidField(SPEC.child("maxReplicas"), maxReplicas, detail));
  }
  const target = SPEC.child("scaleTargetRef");
  checkName(errors, target.child("kind"), spec.scaleTargetRef?.kind, validatePathSegmentName);
  checkName(errors, target.child("name"), spec.scaleTargetRef?.name, validatePathSegmentName);
  for (const [index, metric] of (spec.metrics ?? []).entries()) {
    checkMetric(errors, SPEC.child("metrics").index(index), metric);
  }
  for (const direction of ["scaleUp", "scaleDown"] as const) {
    const rules = spec.behavior?.[direction];
    if (rules !== undefined) checkRules(errors, SPEC.child("behavior", direction), rules);
  }
  return errors;
}

function checkMetric(errors: FieldError[], at: FieldPath, metric: MetricSpec): void {
  checkOneOf(errors, at.child("type"), metric.type, METRIC_TYPES);
  const type = METRIC_TYPES.find((each) => each === metric.type);
  if (type === undefined) return;
  const field = SOURCE_FIELD[type];
  const source = metric[field];
  if (source === undefined) {
    const detail = "must populate information for the given metric source";
    errors.push(requiredField(at.child(field), detail));
    return;
  }
  if ("name" in source) checkPresent(errors, at.child(field, "name"), source.name);
  if ("container" in source) checkPresent(errors, at.child(field, "container"), source.container);
  if ("metric" in source) {
    checkPresent(errors, at.child(field, "metric", "name"), source.metric?.name);
  }
  checkTarget(errors, at.child(field, "target"), source.target);
}

function checkTarget(errors: FieldError[], at: FieldPath, target: MetricTarget | undefined): void {
  const types = ["AverageValue", "Utilization", "Value"];
  checkOneOf(errors, at.child("type"), target?.type, types);
  checkPositive(errors, at.child("averageUtilization"), target?.averageUtilization);
}

function checkRules(errors: FieldError[], at: FieldPath, rules: HPAScalingRules): void {
  const seconds = rules.stabilizationWindowSeconds;
  checkNonNegative(errors, at.child("stabilizationWindowSeconds"), seconds);
  if ((seconds ?? 0) > MAX_WINDOW_SECONDS) {
    const detail = `must be less than or equal to ${MAX_WINDOW_SECONDS}`;
    errors.push(invalidField(at.child("stabilizationWindowSeconds"), seconds, detail));
  }
  if (rules.selectPolicy !== undefined) {
    const supported = ["Disabled", "Max", "Min"];
    checkOneOf(errors, at.child("selectPolicy"), rules.selectPolicy, supported);
  }
  const policies = rules.policies ?? [];
  if (policies.length === 0) {
    errors.push(requiredField(at.child("policies"), "must specify at least one Policy"));
  }
  for (const [index, policy] of policies.entries()) {
    const policyAt = at.child("policies").index(index);
    checkOneOf(errors, policyAt.child("type"), policy.type, ["Percent", "Pods"]);
    checkPositive(errors, policyAt.child("value"), policy.value ?? 0);
    checkPositive(errors, policyAt.child("periodSeconds"), policy.periodSeconds ?? 0);
    if ((policy.periodSeconds ?? 0) > MAX_PERIOD_SECONDS) {
      const detail = `must be less than or equal to ${MAX_PERIOD_SECONDS}`;
      errors.push(invalidField(policyAt.child("periodSeconds"), policy.periodSeconds, detail));
    }
  }
}
