import { type FieldError, invalidField, tooLongField } from "../field-error.ts";
import type { ManagedFieldsEntry } from "../meta.ts";

export const MAX_FIELD_MANAGER = 128;
const MAX_SUBRESOURCE = 256;
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
const UNPRINTABLE_ALL = new RegExp(UNPRINTABLE, "gu");

/** What is wrong with the name of a field manager. */
export function checkFieldManager(manager: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (manager.length > MAX_FIELD_MANAGER) errors.push(tooLongField(path, MAX_FIELD_MANAGER));
  if (UNPRINTABLE.test(manager)) {
    errors.push(invalidField(path, manager, "should only contain printable characters"));
  }
  return errors;
}

/** What is wrong with metadata.managedFields as a client wrote them. */
export function checkManagedFields(
  entries: readonly ManagedFieldsEntry[] | undefined,
): FieldError[] {
  return (entries ?? []).flatMap(({ manager = "", subresource = "" }, index) => {
    const path = `metadata.managedFields[${index}]`;
    const errors = checkFieldManager(manager, `${path}.manager`);
    if (subresource.length > MAX_SUBRESOURCE) {
      errors.push(tooLongField(`${path}.subresource`, MAX_SUBRESOURCE));
    }
    return errors;
  });
}

/**
 * The manager of a write that names none: the first part of its User-Agent, without what cannot be
 * printed.
 */
export function managerOfUserAgent(userAgent: string): string {
  const [program = ""] = userAgent.split("/");
  return program.replace(UNPRINTABLE_ALL, "").slice(0, MAX_FIELD_MANAGER) || "unknown";
}
