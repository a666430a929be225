import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
  tooLongField,
  validateConfigMapKey,
} from "../../../apimachinery/index.ts";
import { reject } from "../../field-checks.ts";
import type { ConfigMap, Secret } from "./types.ts";

/** As much as one object of configuration may hold. */
export const MAX_DATA_BYTES = 1024 * 1024;
const IMMUTABLE = "field is immutable when `immutable` is set";

export function validateConfigMap({ data, binaryData }: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const key in data) {
    const at = FieldPath.root("data").key(key);
    reject(errors, at, key, validateConfigMapKey(key));
    if (binaryData !== undefined && Object.hasOwn(binaryData, key)) {
      errors.push(invalidField(at, key, "duplicate of key present in binaryData"));
    }
    bytes += Buffer.byteLength(data[key] ?? "");
  }
  for (const key in binaryData) {
    reject(errors, FieldPath.root("binaryData").key(key), key, validateConfigMapKey(key));
    bytes += base64Bytes(binaryData[key] ?? "");
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLongField("[]", MAX_DATA_BYTES));
  return errors;
}

/** What is marked immutable stays as it is, and stays marked. */
export function validateConfigUpdate(
  next: ConfigMap | Secret,
  old: ConfigMap | Secret,
): FieldError[] {
  if (old.immutable !== true) return [];
  const errors: FieldError[] = [];
  if (next.immutable !== true) errors.push(forbiddenField("immutable", IMMUTABLE));
  for (const field of ["data", "binaryData"] as const) {
    if (!jsonEquals(next[field] ?? {}, old[field] ?? {})) {
      errors.push(forbiddenField(field, IMMUTABLE));
    }
  }
  return errors;
}

/** The size of what a base64 text stands for. */
export function base64Bytes(text: string): number {
  const padding = text.endsWith("==") ? 2 : Number(text.endsWith("="));
  return Math.floor((text.length * 3) / 4) - padding;
}
