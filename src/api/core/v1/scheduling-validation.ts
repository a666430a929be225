import {
  duplicateField,
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
  notSupportedField,
  requiredField,
  validateDns1123Label,
  validateLabelValue,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { checkOneOf, reject } from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
  PodSpec,
  Toleration,
  TopologySpreadConstraint,
} from "./types.ts";

export const TAINT_EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

export function checkTolerations(
  errors: FieldError[],
  path: FieldPath,
  tolerations: readonly Toleration[] | undefined,
): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) {
    checkToleration(errors, path.index(index), toleration);
  }
}

function checkToleration(errors: FieldError[], at: FieldPath, toleration: Toleration): void {
  const { key, operator = "", value = "", effect = "", tolerationSeconds } = toleration;
  if (key) reject(errors, at.child("key"), key, validateQualifiedName(key));
  else if (operator !== "Exists") {
    const detail =
      "operator must be Exists when `key` is empty, " +
      'which means "match all values and all keys"';
    errors.push(invalidField(at.child("operator"), operator, detail));
  }
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
    errors.push(invalidField(at.child("effect"), effect, detail));
  }
  switch (operator) {
    case "":
    case "Equal":
      reject(errors, at.child("operator"), value, validateLabelValue(value));
      break;
    case "Exists":
      if (value !== "") {
        const detail = "value must be empty when `operator` is 'Exists'";
        errors.push(invalidField(at.child("operator"), toleration, detail));
      }
      break;
    default:
      errors.push(notSupportedField(at.child("operator"), operator, ["Equal", "Exists"]));
  }
  if (effect !== "" && !TAINT_EFFECTS.includes(effect)) {
    errors.push(notSupportedField(at.child("effect"), effect, TAINT_EFFECTS));
  }
}

/** A toleration, once given, stays; only how long it holds may change. */
export function checkAddedTolerations(
  errors: FieldError[],
  path: FieldPath,
  next: PodSpec,
  old: PodSpec,
): void {
  const withoutSeconds = ({ tolerationSeconds: _seconds, ...rest }: Toleration) => rest;
  const kept = (next.tolerations ?? []).map(withoutSeconds);
  const lost = (old.tolerations ?? []).some(
    (toleration) => !kept.some((each) => jsonEquals(each, withoutSeconds(toleration))),
  );
  if (lost) {
    const detail = "existing toleration can not be modified except its tolerationSeconds";
    errors.push(forbiddenField(path, detail));
  }
}

export function checkTopologySpread(
  errors: FieldError[],
  path: FieldPath,
  constraints: readonly TopologySpreadConstraint[] | undefined,
): void {
  const seen = new Set<string>();
  for (const [index, constraint] of (constraints ?? []).entries()) {
    const at = path.index(index);
    const { topologyKey, whenUnsatisfiable } = constraint;
    const maxSkew = constraint.maxSkew ?? 0;
    if (maxSkew <= 0) {
      errors.push(invalidField(at.child("maxSkew"), maxSkew, "must be greater than zero"));
    }
    checkTopologyKey(errors, at.child("topologyKey"), topologyKey);
    const supported = ["DoNotSchedule", "ScheduleAnyway"];
    checkOneOf(errors, at.child("whenUnsatisfiable"), whenUnsatisfiable, supported);
    const pair = `{${topologyKey ?? ""}, ${whenUnsatisfiable ?? ""}}`;
    if (seen.has(pair)) {
      const pairPath = at.child("{topologyKey, whenUnsatisfiable}");
      errors.push(duplicateField(pairPath, pair));
    }
    seen.add(pair);
    checkLabelSelector(errors, at.child("labelSelector"), constraint.labelSelector);
  }
}

export function checkAffinity(
  errors: FieldError[],
  path: FieldPath,
  affinity: Affinity | undefined,
): void {
  if (affinity === undefined) return;
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity;
  if (nodeAffinity !== undefined) {
    const at = path.child("nodeAffinity");
    const required = nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution;
    const preferred = nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (required !== undefined) {
      const requiredPath = at.child("requiredDuringSchedulingIgnoredDuringExecution");
      checkNodeSelector(errors, requiredPath, required);
    }
    for (const [index, term] of preferred.entries()) {
      const termPath = at.child("preferredDuringSchedulingIgnoredDuringExecution").index(index);
      checkWeight(errors, termPath, term.weight);
      checkNodeTerm(errors, termPath.child("preference"), term.preference ?? {});
    }
  }
  checkPodAffinity(errors, path.child("podAffinity"), podAffinity);
  checkPodAffinity(errors, path.child("podAntiAffinity"), podAntiAffinity);
}

export function checkNodeSelector(
  errors: FieldError[],
  path: FieldPath,
  selector: NodeSelector,
): void {
  const terms = selector.nodeSelectorTerms ?? [];
  const at = path.child("nodeSelectorTerms");
  if (terms.length === 0) {
    errors.push(requiredField(at, "must have at least one node selector term"));
  }
  for (const [index, term] of terms.entries()) checkNodeTerm(errors, at.index(index), term);
}

function checkNodeTerm(errors: FieldError[], path: FieldPath, term: NodeSelectorTerm): void {
  for (const [index, requirement] of (term.matchExpressions ?? []).entries()) {
    checkNodeRequirement(errors, path.child("matchExpressions").index(index), requirement);
  }
  for (const [index, requirement] of (term.matchFields ?? []).entries()) {
    const at = path.child("matchFields").index(index);
    if (requirement.key !== "metadata.name") {
      const detail = "not a valid field selector key";
      errors.push(invalidField(at.child("key"), requirement.key ?? "", detail));
    }
    if ((requirement.values?.length ?? 0) !== 1) {
      const detail =
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
      errors.push(requiredField(at.child("values"), detail));
    }
  }
}

function checkNodeRequirement(
  errors: FieldError[],
  path: FieldPath,
  { key, operator, values }: NodeSelectorRequirement,
): void {
  const count = values?.length ?? 0;
  switch (operator) {
    case "In":
    case "NotIn":
      if (count === 0) {
        const detail = "must be specified when `operator` is 'In' or 'NotIn'";
        errors.push(requiredField(path.child("values"), detail));
      }
      break;
    case "Exists":
    case "DoesNotExist":
      if (count > 0) {
        const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        errors.push(forbiddenField(path.child("values"), detail));
      }
      break;
    case "Gt":
    case "Lt":
      if (count !== 1) {
        const detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
        errors.push(requiredField(path.child("values"), detail));
      }
      break;
    default: {
      const detail = "not a valid selector operator";
      errors.push(invalidField(path.child("operator"), operator ?? "", detail));
    }
  }
  reject(errors, path.child("key"), key ?? "", validateQualifiedName(key ?? ""));
}

function checkPodAffinity(
  errors: FieldError[],
  path: FieldPath,
  affinity: PodAffinity | undefined,
): void {
  const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const [index, term] of required.entries()) {
    const at = path.child("requiredDuringSchedulingIgnoredDuringExecution").index(index);
    checkPodAffinityTerm(errors, at, term);
  }
  for (const [index, { weight, podAffinityTerm }] of preferred.entries()) {
    const at = path.child("preferredDuringSchedulingIgnoredDuringExecution").index(index);
    checkWeight(errors, at, weight);
    checkPodAffinityTerm(errors, at.child("podAffinityTerm"), podAffinityTerm ?? {});
  }
}

function checkPodAffinityTerm(
  errors: FieldError[],
  path: FieldPath,
  term: Partial<PodAffinityTerm>,
): void {
  checkLabelSelector(errors, path.child("labelSelector"), term.labelSelector);
  checkLabelSelector(errors, path.child("namespaceSelector"), term.namespaceSelector);
  for (const namespace of term.namespaces ?? []) {
    reject(errors, path.child("namespace"), namespace, validateDns1123Label(namespace));
  }
  checkTopologyKey(errors, path.child("topologyKey"), term.topologyKey);
}

function checkTopologyKey(errors: FieldError[], path: FieldPath, key: string | undefined): void {
  if (key) reject(errors, path, key, validateQualifiedName(key));
  else errors.push(requiredField(path, "can not be empty"));
}

function checkWeight(errors: FieldError[], path: FieldPath, weight: number | undefined): void {
  if (weight === undefined || weight < 1 || weight > 100) {
    errors.push(invalidField(path.child("weight"), weight ?? 0, "must be in the range 1-100"));
  }
}
