import {
  type FieldError,
  type FieldPath,
  invalidField,
  notSupportedField,
  requiredField,
  validateConfigMapKey,
  validateEnvVarName,
  validateLocalDescendingPath,
} from "../../../apimachinery/index.ts";
import { checkName, checkPresent, reject } from "../../field-checks.ts";
import type {
  ConfigMapKeySelector,
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from "./types.ts";

export const ENV_FIELD_PATHS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];

const SUBSCRIPT = /^metadata\.(annotations|labels)\['(.*)'\]$/;
const CONTAINER_RESOURCE = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/;

const SOURCES = [
  "fieldRef",
  "resourceFieldRef",
  "configMapKeyRef",
  "secretKeyRef",
  "fileKeyRef",
] as const;

export function checkEnv(
  errors: FieldError[],
  path: FieldPath,
  env: readonly EnvVar[] | undefined,
): void {
  for (const [index, variable] of (env ?? []).entries()) {
    const at = path.index(index);
    checkName(errors, at.child("name"), variable.name, validateEnvVarName);
    if (variable.valueFrom !== undefined) {
      checkSource(errors, at.child("valueFrom"), variable.valueFrom, variable.value ?? "");
    }
  }
}

export function checkEnvFrom(
  errors: FieldError[],
  path: FieldPath,
  sources: readonly EnvFromSource[] | undefined,
): void {
  for (const [index, source] of (sources ?? []).entries()) {
    const at = path.index(index);
    if (source.prefix) {
      reject(errors, at.child("prefix"), source.prefix, validateEnvVarName(source.prefix));
    }
    const set = (["configMapRef", "secretRef"] as const).filter((field) => source[field]);
    for (const field of set) checkPresent(errors, at.child(field, "name"), source[field]?.name);
    if (set.length === 0) {
      const detail = "must specify one of: `configMapRef` or `secretRef`";
      errors.push(invalidField(at, "", detail));
    } else if (set.length > 1) {
      errors.push(invalidField(at, "", "may not have more than one field specified at a time"));
    }
  }
}

function checkSource(
  errors: FieldError[],
  path: FieldPath,
  source: EnvVarSource,
  value: string,
): void {
  if (source.fieldRef !== undefined) {
    checkFieldRef(errors, path.child("fieldRef"), source.fieldRef, ENV_FIELD_PATHS);
  }
  if (source.resourceFieldRef !== undefined) {
    checkResourceFieldRef(errors, path.child("resourceFieldRef"), source.resourceFieldRef);
  }
  checkKeyRef(errors, path.child("configMapKeyRef"), source.configMapKeyRef);
  checkKeyRef(errors, path.child("secretKeyRef"), source.secretKeyRef);
  if (source.fileKeyRef !== undefined) {
    const file = source.fileKeyRef;
    const at = path.child("fileKeyRef");
    checkPresent(errors, at.child("volumeName"), file.volumeName);
    checkName(errors, at.child("path"), file.path, validateLocalDescendingPath);
    checkName(errors, at.child("key"), file.key, validateEnvVarName);
  }
  const set = SOURCES.filter((field) => source[field] !== undefined);
  if (set.length === 0) {
    const detail =
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, " +
      "`secretKeyRef` or `fileKeyRef`";
    errors.push(invalidField(path, "", detail));
  } else if (value !== "") {
    errors.push(invalidField(path, "", "may not be specified when `value` is not empty"));
  } else if (set.length > 1) {
    errors.push(invalidField(path, "", "may not have more than one field specified at a time"));
  }
}

function checkKeyRef(
  errors: FieldError[],
  path: FieldPath,
  reference: ConfigMapKeySelector | undefined,
): void {
  if (reference === undefined) return;
  checkPresent(errors, path.child("name"), reference.name);
  checkName(errors, path.child("key"), reference.key, validateConfigMapKey);
}

/** A field of the pod itself; labels and annotations one by one. */
export function checkFieldRef(
  errors: FieldError[],
  path: FieldPath,
  { apiVersion, fieldPath }: ObjectFieldSelector,
  supported: readonly string[],
): void {
  checkPresent(errors, path.child("apiVersion"), apiVersion);
  if (!fieldPath) {
    errors.push(requiredField(path.child("fieldPath")));
  } else if (!supported.includes(fieldPath) && !SUBSCRIPT.test(fieldPath)) {
    errors.push(notSupportedField(path.child("fieldPath"), fieldPath, supported));
  }
}

export function checkResourceFieldRef(
  errors: FieldError[],
  path: FieldPath,
  { resource }: ResourceFieldSelector,
): void {
  if (!resource) {
    errors.push(requiredField(path.child("resource")));
  } else if (!CONTAINER_RESOURCE.test(resource)) {
    const supported = ["cpu", "ephemeral-storage", "memory"].flatMap((name) => [
      `limits.${name}`,
      `requests.${name}`,
    ]);
    errors.push(notSupportedField(path.child("resource"), resource, supported.sort()));
  }
}
