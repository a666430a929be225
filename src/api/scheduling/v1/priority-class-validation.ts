import { type FieldError, FieldPath, forbiddenField } from "../../../apimachinery/index.ts";
import { checkOptionalOneOf } from "../../field-checks.ts";
import type { PriorityClass } from "./types.ts";

export const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PREFIX = "system-";

/** The classes of what the cluster cannot do without, by name. */
export const SYSTEM_PRIORITIES: Readonly<Record<string, number>> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

export function validatePriorityClass(priorityClass: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  const name = priorityClass.metadata.name ?? "";
  const isSystem =
    Object.hasOwn(SYSTEM_PRIORITIES, name) && SYSTEM_PRIORITIES[name] === priorityClass.value;
  if (name.startsWith(SYSTEM_PREFIX) && !isSystem) {
    const detail = "priority class names with 'system-' prefix are reserved for system use only";
    errors.push(forbiddenField(FieldPath.root("metadata", "name"), detail));
  } else if (!isSystem && (priorityClass.value ?? 0) > HIGHEST_USER_PRIORITY) {
    const detail = `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`;
    errors.push(forbiddenField(FieldPath.root("value"), detail));
  }
  const path = FieldPath.root("preemptionPolicy");
  const policies = ["Never", "PreemptLowerPriority"];
  checkOptionalOneOf(errors, path, priorityClass.preemptionPolicy, policies);
  return errors;
}

/** Pods carry the number, so it cannot change under them. */
export function validatePriorityClassUpdate(next: PriorityClass, old: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  if (next.value !== old.value) {
    errors.push(forbiddenField("value", "may not be changed in an update."));
  }
  if (next.preemptionPolicy !== old.preemptionPolicy) {
    errors.push(forbiddenField("preemptionPolicy", "may not be changed in an update."));
  }
  return errors;
}
