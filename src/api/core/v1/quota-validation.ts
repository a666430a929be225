import {
  type FieldError,
  FieldPath,
  invalidField,
  notSupportedField,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { checkImmutable, checkName, quantityOf } from "../../field-checks.ts";
import { checkQuantities, checkWhole } from "./resources-validation.ts";
import type { LimitRange, LimitRangeItem, ResourceQuota } from "./types.ts";

const SPEC = FieldPath.root("spec");
const SCOPES = [
  "BestEffort",
  "CrossNamespacePodAffinity",
  "NotBestEffort",
  "NotTerminating",
  "PriorityClass",
  "Terminating",
  "VolumeAttributesClass",
];

export function validateResourceQuota({ spec }: ResourceQuota): FieldError[] {
  const errors: FieldError[] = [];
  checkQuantities(errors, SPEC.child("hard"), spec?.hard);
  checkQuotaNames(errors, SPEC.child("hard"), spec?.hard ?? {});
  for (const scope of spec?.scopes ?? []) {
    if (!SCOPES.includes(scope)) {
      errors.push(notSupportedField(SPEC.child("scopes"), scope, SCOPES));
    }
  }
  return errors;
}

/** Numbers of objects that have a name of their own; of others there is count/NAME.GROUP. */
const COUNTED: ReadonlySet<string> = new Set([
  "configmaps",
  "persistentvolumeclaims",
  "pods",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
  "services",
  "services.loadbalancers",
  "services.nodeports",
]);
const AMOUNTS = /^((requests\.|limits\.)?(cpu|memory|ephemeral-storage)|requests\.storage)$/;
const HUGE_PAGES = /^(requests\.)?hugepages-.+$/;

function checkQuotaNames(
  errors: FieldError[],
  path: FieldPath,
  hard: Readonly<Record<string, string>>,
): void {
  for (const name in hard) {
    const at = path.key(name);
    if (COUNTED.has(name)) checkWhole(errors, at, hard[name]);
    const known = COUNTED.has(name) || AMOUNTS.test(name) || HUGE_PAGES.test(name);
    if (name.includes("/") || known) continue;
    errors.push(invalidField(at, name, "must be a standard resource type or fully qualified"));
    errors.push(invalidField(at, name, "must be a standard resource for quota"));
  }
}

export function validateResourceQuotaUpdate(next: ResourceQuota, old: ResourceQuota): FieldError[] {
  const errors: FieldError[] = [];
  const scopes = (quota: ResourceQuota) => [...(quota.spec?.scopes ?? [])].sort();
  checkImmutable(errors, SPEC.child("scopes"), scopes(next), scopes(old));
  return errors;
}

export function validateLimitRange({ spec }: LimitRange): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, item] of (spec?.limits ?? []).entries()) {
    const at = SPEC.child("limits").index(index);
    checkName(errors, at.child("type"), item.type, validateQualifiedName);
    for (const field of ["min", "max", "default", "defaultRequest"] as const) {
      checkQuantities(errors, at.child(field), item[field]);
    }
    for (const [lower, upper] of ORDERED) checkOrder(errors, at, item, lower, upper);
  }
  return errors;
}

/** Each is at most the next: named as messages name them. */
const ORDERED = [
  ["min", "max"],
  ["min", "defaultRequest"],
  ["defaultRequest", "max"],
  ["min", "default"],
  ["default", "max"],
  ["defaultRequest", "default"],
] as const;

const NAMES = {
  min: "min",
  max: "max",
  default: "default",
  defaultRequest: "default request",
} as const;

function checkOrder(
  errors: FieldError[],
  at: FieldPath,
  item: LimitRangeItem,
  lower: keyof typeof NAMES,
  upper: keyof typeof NAMES,
): void {
  for (const resource in item[lower]) {
    const low = quantityOf(item[lower]?.[resource]);
    const high = quantityOf(item[upper]?.[resource]);
    if (low === undefined || high === undefined || low.compare(high) <= 0) continue;
    const detail =
      `${NAMES[lower]} value ${low.toString()} is greater than ` +
      `${NAMES[upper]} value ${high.toString()}`;
    errors.push(invalidField(at.child(lower).key(resource), low.toString(), detail));
  }
}
