import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
  requiredField,
  validateDns1123Subdomain,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import {
  checkName,
  checkOneOf,
  checkOptional,
  checkOptionalOneOf,
  checkPresent,
} from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const MAX_DRIVER_NAME = 63;

export function validateStorageClass(storageClass: StorageClass): FieldError[] {
  const errors: FieldError[] = [];
  const { provisioner, reclaimPolicy, volumeBindingMode } = storageClass;
  const rule = (name: string) => validateQualifiedName(name.toLowerCase());
  checkName(errors, FieldPath.root("provisioner"), provisioner, rule);
  const policies = ["Delete", "Retain"];
  checkOptionalOneOf(errors, FieldPath.root("reclaimPolicy"), reclaimPolicy, policies);
  const modes = ["Immediate", "WaitForFirstConsumer"];
  checkOneOf(errors, FieldPath.root("volumeBindingMode"), volumeBindingMode, modes);
  return errors;
}

/** Volumes that exist were made by these rules. */
export function validateStorageClassUpdate(next: StorageClass, old: StorageClass): FieldError[] {
  return (["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] as const)
    .filter((field) => !jsonEquals(next[field], old[field]))
    .map((field) => forbiddenField(field, `updates to ${field} are forbidden.`));
}

export function validateVolumeAttributesClass({ driverName }: VolumeAttributesClass): FieldError[] {
  const errors: FieldError[] = [];
  checkName(errors, FieldPath.root("driverName"), driverName, validateDns1123Subdomain);
  return errors;
}

export function validateVolumeAttributesClassUpdate(
  next: VolumeAttributesClass,
  old: VolumeAttributesClass,
): FieldError[] {
  return (["driverName", "parameters"] as const)
    .filter((field) => !jsonEquals(next[field], old[field]))
    .map((field) => forbiddenField(field, `updates to ${field} are forbidden.`));
}

export function validateVolumeAttachment({ spec }: VolumeAttachment): FieldError[] {
  const errors: FieldError[] = [];
  checkPresent(errors, SPEC.child("attacher"), spec?.attacher);
  checkPresent(errors, SPEC.child("nodeName"), spec?.nodeName);
  const { inlineVolumeSpec, persistentVolumeName } = spec?.source ?? {};
  if (inlineVolumeSpec === undefined && !persistentVolumeName) {
    const detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    errors.push(requiredField(SPEC.child("source"), detail));
  }
  return errors;
}

export function validateVolumeAttachmentUpdate(
  next: VolumeAttachment,
  old: VolumeAttachment,
): FieldError[] {
  if (jsonEquals(next.spec, old.spec)) return [];
  return [invalidField(SPEC, next.spec, "field is immutable")];
}

export function validateCsiDriver({ metadata, spec }: CSIDriver): FieldError[] {
  const errors: FieldError[] = [];
  if ((metadata.name?.length ?? 0) > MAX_DRIVER_NAME) {
    const detail = `must be no more than ${MAX_DRIVER_NAME} characters`;
    errors.push(invalidField(FieldPath.root("metadata", "name"), metadata.name, detail));
  }
  for (const [index, mode] of (spec?.volumeLifecycleModes ?? []).entries()) {
    const at = SPEC.child("volumeLifecycleModes").index(index);
    checkOneOf(errors, at, mode, ["Ephemeral", "Persistent"]);
  }
  const policies = ["File", "None", "ReadWriteOnceWithFSType"];
  checkOptionalOneOf(errors, SPEC.child("fsGroupPolicy"), spec?.fsGroupPolicy, policies);
  return errors;
}

export function validateCsiNode({ spec }: CSINode): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, driver] of (spec?.drivers ?? []).entries()) {
    const at = SPEC.child("drivers").index(index);
    checkName(errors, at.child("name"), driver.name, validateDns1123Subdomain);
    checkPresent(errors, at.child("nodeID"), driver.nodeID);
  }
  return errors;
}

export function validateCsiStorageCapacity(capacity: CSIStorageCapacity): FieldError[] {
  const errors: FieldError[] = [];
  const path = FieldPath.root("storageClassName");
  checkPresent(errors, path, capacity.storageClassName);
  checkOptional(errors, path, capacity.storageClassName, validateDns1123Subdomain);
  checkLabelSelector(errors, FieldPath.root("nodeTopology"), capacity.nodeTopology);
  return errors;
}
