import {
  duplicateField,
  type FieldError,
  FieldPath,
  forbiddenField,
  jsonEquals,
  validateCidr,
  validateLabelValue,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { checkName, checkOneOf, reject } from "../../field-checks.ts";
import { checkQuantities } from "./resources-validation.ts";
import { TAINT_EFFECTS } from "./scheduling-validation.ts";
import type { Node } from "./types.ts";

const SPEC = FieldPath.root("spec");
const STATUS = FieldPath.root("status");

export function validateNode({ spec, status }: Node): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { key, value = "", effect }] of (spec?.taints ?? []).entries()) {
    const at = SPEC.child("taints").index(index);
    checkName(errors, at.child("key"), key, validateQualifiedName);
    reject(errors, at.child("value"), value, validateLabelValue(value));
    checkOneOf(errors, at.child("effect"), effect, TAINT_EFFECTS);
    const taint = `${key}:${effect}`;
    if (seen.has(taint)) errors.push(duplicateField(at, { key, value, effect }));
    seen.add(taint);
  }
  for (const [index, cidr] of (spec?.podCIDRs ?? []).entries()) {
    reject(errors, SPEC.child("podCIDRs").index(index), cidr, validateCidr(cidr));
  }
  checkQuantities(errors, STATUS.child("capacity"), status?.capacity);
  checkQuantities(errors, STATUS.child("allocatable"), status?.allocatable);
  return errors;
}

/** What a node was told when it joined holds as long as it is a node. */
export function validateNodeUpdate(next: Node, old: Node): FieldError[] {
  const errors: FieldError[] = [];
  const before = old.spec?.podCIDRs ?? [];
  const [first] = before;
  const changed =
    !jsonEquals(next.spec?.podCIDRs, before) || (next.spec?.podCIDR ?? first) !== first;
  if (first !== undefined && changed) {
    const detail = 'node updates may not change podCIDR except from "" to valid';
    errors.push(forbiddenField(SPEC.child("podCIDRs"), detail));
  }
  const provider = old.spec?.providerID ?? "";
  if (provider !== "" && next.spec?.providerID !== provider) {
    const detail = 'node updates may not change providerID except from "" to valid';
    errors.push(forbiddenField(SPEC.child("providerID"), detail));
  }
  return errors;
}
