import {
  type FieldError,
  FieldPath,
  invalidField,
  requiredField,
} from "../../../apimachinery/index.ts";
import { checkNonNegative } from "../../field-checks.ts";
import { checkLabels } from "../../meta/v1/labels-validation.ts";
import { checkLongRunning, checkPodTemplate } from "./pod-spec-validation.ts";
import type { PodTemplate, ReplicationController } from "./types.ts";

const SPEC = FieldPath.root("spec");

export function validateReplicationController({ spec = {} }: ReplicationController): FieldError[] {
  const errors: FieldError[] = [];
  checkNonNegative(errors, SPEC.child("minReadySeconds"), spec.minReadySeconds);
  const selector = spec.selector ?? {};
  checkLabels(errors, SPEC.child("selector"), selector);
  if (Object.keys(selector).length === 0) errors.push(requiredField(SPEC.child("selector")));
  checkNonNegative(errors, SPEC.child("replicas"), spec.replicas);
  if (spec.template === undefined) return [...errors, requiredField(SPEC.child("template"))];
  const labels = spec.template.metadata?.labels ?? {};
  if (Object.entries(selector).some(([key, value]) => labels[key] !== value)) {
    const at = SPEC.child("template", "metadata", "labels");
    errors.push(invalidField(at, labels, "`selector` does not match template `labels`"));
  }
  checkPodTemplate(errors, SPEC.child("template"), spec.template);
  checkLongRunning(errors, SPEC.child("template"), spec.template, "ReplicationController");
  return errors;
}

export function validatePodTemplate({ template }: PodTemplate): FieldError[] {
  const errors: FieldError[] = [];
  checkPodTemplate(errors, FieldPath.root("template"), template);
  return errors;
}
