import {
  duplicateField,
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  Quantity,
  requiredField,
  validateDns1123Label,
  validateLocalDescendingPath,
} from "../../../apimachinery/index.ts";
import { checkName, checkPresent, quantityOf, reject } from "../../field-checks.ts";
import { checkFieldRef, checkResourceFieldRef } from "./env-validation.ts";
import { checkClaimSpec } from "./persistent-volume-claim-validation.ts";
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection } from "./types.ts";

const MAX_MODE = 0o777;
const MODE_DETAIL = "must be a number between 0 and 0777 (octal), both inclusive";
const VOLUME_FIELD_PATHS = ["metadata.name", "metadata.namespace", "metadata.uid"];

/** @returns the names of the volumes, for those who mount them */
export function checkVolumes(
  errors: FieldError[],
  path: FieldPath,
  volumes: readonly Volume[] | undefined,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = path.index(index);
    checkVolumeSource(errors, at, volume);
    checkName(errors, at.child("name"), volume.name, validateDns1123Label);
    if (names.has(volume.name)) errors.push(duplicateField(at.child("name"), volume.name));
    names.add(volume.name);
  }
  return names;
}

function checkVolumeSource(errors: FieldError[], path: FieldPath, volume: Volume): void {
  const set = Object.keys(volume).filter(
    (field) => field !== "name" && volume[field as keyof Volume] !== undefined,
  );
  if (set.length === 0) errors.push(requiredField(path, "must specify a volume type"));
  for (const field of set.slice(1)) {
    errors.push(forbiddenField(path.child(field), "may not specify more than 1 volume type"));
  }
  checkFiles(errors, path, volume);
  if ((quantityOf(volume.emptyDir?.sizeLimit)?.compare(Quantity.zero) ?? 0) < 0) {
    const detail = "SizeLimit field must be a valid resource quantity";
    errors.push(forbiddenField(path.child("emptyDir", "sizeLimit"), detail));
  }
  if (volume.hostPath !== undefined) {
    checkHostPath(errors, path.child("hostPath"), volume.hostPath);
  }
  if (volume.persistentVolumeClaim !== undefined) {
    const at = path.child("persistentVolumeClaim", "claimName");
    checkPresent(errors, at, volume.persistentVolumeClaim.claimName);
  }
  if (volume.nfs !== undefined) {
    checkPresent(errors, path.child("nfs", "server"), volume.nfs.server);
    checkPresent(errors, path.child("nfs", "path"), volume.nfs.path);
  }
  if (volume.csi !== undefined) {
    checkPresent(errors, path.child("csi", "driver"), volume.csi.driver);
  }
  if (volume.image !== undefined) {
    checkPresent(errors, path.child("image", "reference"), volume.image.reference);
  }
  if (volume.ephemeral !== undefined) {
    const at = path.child("ephemeral", "volumeClaimTemplate");
    const template = volume.ephemeral.volumeClaimTemplate;
    if (template === undefined) errors.push(requiredField(at));
    else checkClaimSpec(errors, at.child("spec"), template.spec ?? {});
  }
}

/** The kinds of volumes that are made of files of the API. */
function checkFiles(errors: FieldError[], path: FieldPath, volume: Volume): void {
  const { secret, configMap, downwardAPI, projected } = volume;
  if (secret !== undefined) {
    const at = path.child("secret");
    checkPresent(errors, at.child("secretName"), secret.secretName);
    checkMode(errors, at.child("defaultMode"), secret.defaultMode);
    checkItems(errors, at.child("items"), secret.items);
  }
  if (configMap !== undefined) {
    const at = path.child("configMap");
    checkPresent(errors, at.child("name"), configMap.name);
    checkMode(errors, at.child("defaultMode"), configMap.defaultMode);
    checkItems(errors, at.child("items"), configMap.items);
  }
  if (downwardAPI !== undefined) {
    const at = path.child("downwardAPI");
    checkMode(errors, at.child("defaultMode"), downwardAPI.defaultMode);
    checkDownwardItems(errors, at.child("items"), downwardAPI.items);
  }
  if (projected !== undefined) {
    const at = path.child("projected");
    checkMode(errors, at.child("defaultMode"), projected.defaultMode);
    for (const [index, source] of (projected.sources ?? []).entries()) {
      checkProjection(errors, at.child("sources").index(index), source);
    }
  }
}

function checkProjection(errors: FieldError[], path: FieldPath, source: VolumeProjection): void {
  const { secret, configMap, downwardAPI, serviceAccountToken } = source;
  const set = Object.values(source).filter((each) => each !== undefined);
  if (set.length > 1) {
    errors.push(forbiddenField(path, "may not specify more than 1 volume type per source"));
  }
  if (secret !== undefined) {
    checkPresent(errors, path.child("secret", "name"), secret.name);
    checkItems(errors, path.child("secret", "items"), secret.items);
  }
  if (configMap !== undefined) {
    checkPresent(errors, path.child("configMap", "name"), configMap.name);
    checkItems(errors, path.child("configMap", "items"), configMap.items);
  }
  if (downwardAPI !== undefined) {
    checkDownwardItems(errors, path.child("downwardAPI", "items"), downwardAPI.items);
  }
  if (serviceAccountToken === undefined) return;
  const at = path.child("serviceAccountToken");
  const seconds = serviceAccountToken.expirationSeconds ?? 0;
  if (seconds < 600) {
    const detail = "may not specify a duration less than 10 minutes";
    errors.push(invalidField(at.child("expirationSeconds"), seconds, detail));
  }
  checkPresent(errors, at.child("path"), serviceAccountToken.path);
}

function checkItems(
  errors: FieldError[],
  path: FieldPath,
  items: readonly KeyToPath[] | undefined,
): void {
  for (const [index, item] of (items ?? []).entries()) {
    const at = path.index(index);
    checkPresent(errors, at.child("key"), item.key);
    checkName(errors, at.child("path"), item.path, localPathMessages);
    checkMode(errors, at.child("mode"), item.mode);
  }
}

function checkDownwardItems(
  errors: FieldError[],
  path: FieldPath,
  items: readonly DownwardAPIVolumeFile[] | undefined,
): void {
  for (const [index, item] of (items ?? []).entries()) {
    const at = path.index(index);
    checkName(errors, at.child("path"), item.path, localPathMessages);
    const { fieldRef, resourceFieldRef } = item;
    if (fieldRef !== undefined) {
      const supported = [...VOLUME_FIELD_PATHS, "metadata.annotations", "metadata.labels"];
      checkFieldRef(errors, at.child("fieldRef"), fieldRef, supported.sort());
      if (resourceFieldRef !== undefined) {
        const detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
        errors.push(invalidField(at, "resource", detail));
      }
    } else if (resourceFieldRef === undefined) {
      errors.push(requiredField(at, "one of fieldRef and resourceFieldRef is required"));
    } else {
      checkPresent(
        errors,
        at.child("resourceFieldRef", "containerName"),
        resourceFieldRef.containerName,
      );
      checkResourceFieldRef(errors, at.child("resourceFieldRef"), resourceFieldRef);
    }
    checkMode(errors, at.child("mode"), item.mode);
  }
}

/** Names that start with ".." are the node agent's own, for changing files atomically. */
function localPathMessages(path: string): string[] {
  const messages = validateLocalDescendingPath(path);
  return messages.length === 0 && path.startsWith("..") ? ["must not start with '..'"] : messages;
}

export function checkHostPath(
  errors: FieldError[],
  at: FieldPath,
  source: { readonly path?: string },
): void {
  checkPresent(errors, at.child("path"), source.path);
  if (source.path?.split("/").includes("..") === true) {
    reject(errors, at.child("path"), source.path, ["must not contain '..'"]);
  }
}

function checkMode(errors: FieldError[], path: FieldPath, mode: number | undefined): void {
  if (mode !== undefined && (mode < 0 || mode > MAX_MODE)) {
    errors.push(invalidField(path, mode, MODE_DETAIL));
  }
}
