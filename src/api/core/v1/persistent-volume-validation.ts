import {
  type FieldError,
  FieldPath,
  forbiddenField,
  jsonEquals,
  requiredField,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { checkImmutable, checkOptional, checkOptionalOneOf } from "../../field-checks.ts";
import { checkAccessModes, VOLUME_MODES } from "./persistent-volume-claim-validation.ts";
import { checkQuantities } from "./resources-validation.ts";
import { checkNodeSelector } from "./scheduling-validation.ts";
import type { PersistentVolume, PersistentVolumeSpec } from "./types.ts";
import { checkHostPath } from "./volume-validation.ts";

const SPEC = FieldPath.root("spec");
const RECLAIM_POLICIES = ["Delete", "Recycle", "Retain"];

/** Fields of the spec that do not say where the volume is. */
const NOT_SOURCES = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);

export function validatePersistentVolume({ spec = {} }: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  const modes = spec.accessModes ?? [];
  if (modes.length === 0) errors.push(requiredField(SPEC.child("accessModes")));
  checkAccessModes(errors, SPEC.child("accessModes"), modes);
  if (Object.keys(spec.capacity ?? {}).length === 0)
    errors.push(requiredField(SPEC.child("capacity")));
  checkQuantities(errors, SPEC.child("capacity"), spec.capacity);
  const policyPath = SPEC.child("persistentVolumeReclaimPolicy");
  checkOptionalOneOf(errors, policyPath, spec.persistentVolumeReclaimPolicy, RECLAIM_POLICIES);
  const sources = Object.keys(sourceOf(spec));
  if (sources.length === 0) errors.push(requiredField(SPEC, "must specify a volume type"));
  for (const source of sources.slice(1)) {
    errors.push(forbiddenField(SPEC.child(source), "may not specify more than 1 volume type"));
  }
  if (spec.hostPath !== undefined) checkHostPath(errors, SPEC.child("hostPath"), spec.hostPath);
  if (spec.local !== undefined) {
    if (!spec.local.path) errors.push(requiredField(SPEC.child("local", "path")));
    if (spec.nodeAffinity === undefined) {
      const detail = "Local volume requires node affinity";
      errors.push(requiredField(FieldPath.root("metadata", "annotations"), detail));
    }
  }
  if (spec.nodeAffinity?.required !== undefined) {
    checkNodeSelector(errors, SPEC.child("nodeAffinity", "required"), spec.nodeAffinity.required);
  }
  const className = SPEC.child("storageClassName");
  checkOptional(errors, className, spec.storageClassName, validateDns1123Subdomain);
  checkOptionalOneOf(errors, SPEC.child("volumeMode"), spec.volumeMode, VOLUME_MODES);
  return errors;
}

export function validatePersistentVolumeUpdate(
  next: PersistentVolume,
  old: PersistentVolume,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!jsonEquals(sourceOf(next.spec ?? {}), sourceOf(old.spec ?? {}))) {
    const path = SPEC.child("persistentvolumesource");
    const detail = "spec.persistentvolumesource is immutable after creation";
    errors.push(forbiddenField(path, detail));
  }
  checkImmutable(errors, SPEC.child("volumeMode"), next.spec?.volumeMode, old.spec?.volumeMode);
  return errors;
}

function sourceOf(spec: PersistentVolumeSpec): Record<string, unknown> {
  const sources = Object.entries(spec).filter(
    ([field, value]) => !NOT_SOURCES.has(field) && value !== undefined,
  );
  return Object.fromEntries(sources);
}
