import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
  notSupportedField,
  Quantity,
  requiredField,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { checkOptional, checkOptionalOneOf, quantityOf } from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "./types.ts";

export const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
export const VOLUME_MODES = ["Block", "Filesystem"];

const SPEC = FieldPath.root("spec");

export function validatePersistentVolumeClaim({ spec }: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  checkClaimSpec(errors, SPEC, spec ?? {});
  return errors;
}

export function validatePersistentVolumeClaimUpdate(
  next: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!jsonEquals(fixedPart(next, old), fixedPart(old, old))) {
    const detail =
      "spec is immutable after creation except resources.requests and " +
      "volumeAttributesClassName for bound claims";
    errors.push(forbiddenField(SPEC, detail));
  }
  const wanted = quantityOf(next.spec?.resources?.requests?.storage);
  const before = quantityOf(old.spec?.resources?.requests?.storage);
  if (wanted !== undefined && before !== undefined && wanted.compare(before) < 0) {
    const had = quantityOf(old.status?.capacity?.storage);
    if (had === undefined || wanted.compare(had) < 0) {
      const path = SPEC.child("resources", "requests", "storage");
      errors.push(forbiddenField(path, "field can not be less than status.capacity"));
    }
  }
  return errors;
}

/** A claim is bound once, by whoever finds the volume; its size and attributes may change later. */
function fixedPart(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): unknown {
  const { resources: _resources, volumeAttributesClassName: _class, ...rest } = claim.spec ?? {};
  if (!old.spec?.volumeName) delete rest.volumeName;
  if (old.spec?.storageClassName === undefined) delete rest.storageClassName;
  return rest;
}

export function checkClaimSpec(
  errors: FieldError[],
  path: FieldPath,
  spec: PersistentVolumeClaimSpec,
): void {
  const modes = spec.accessModes ?? [];
  if (modes.length === 0) {
    errors.push(requiredField(path.child("accessModes"), "at least 1 access mode is required"));
  }
  checkLabelSelector(errors, path.child("selector"), spec.selector);
  checkAccessModes(errors, path.child("accessModes"), modes);
  const storage = path.child("resources").key("storage");
  const requested = spec.resources?.requests?.storage;
  if (requested === undefined) errors.push(requiredField(storage));
  else if ((quantityOf(requested)?.compare(Quantity.zero) ?? 1) <= 0) {
    errors.push(invalidField(storage, requested, "must be greater than zero"));
  }
  const className = path.child("storageClassName");
  checkOptional(errors, className, spec.storageClassName, validateDns1123Subdomain);
  checkOptionalOneOf(errors, path.child("volumeMode"), spec.volumeMode, VOLUME_MODES);
}

export function checkAccessModes(
  errors: FieldError[],
  path: FieldPath,
  modes: readonly string[],
): void {
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(mode)) errors.push(notSupportedField(path, mode, ACCESS_MODES));
  }
  if (modes.includes("ReadWriteOncePod") && modes.length > 1) {
    const detail = "may not use ReadWriteOncePod with other access modes";
    errors.push(forbiddenField(path, detail));
  }
}
