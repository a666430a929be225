import {
  type FieldError,
  FieldPath,
  invalidField,
  requiredField,
  tooLongField,
  validateConfigMapKey,
} from "../../../apimachinery/index.ts";
import { checkImmutable, reject } from "../../field-checks.ts";
import { base64Bytes, MAX_DATA_BYTES, validateConfigUpdate } from "./config-map-validation.ts";
import type { Secret } from "./types.ts";

const DATA = FieldPath.root("data");
const SERVICE_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name";

/** Keys that the type of a Secret promises. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

export function validateSecret(secret: Secret): FieldError[] {
  const errors: FieldError[] = [];
  const data = secret.data ?? {};
  let bytes = 0;
  for (const key in data) {
    reject(errors, DATA.key(key), key, validateConfigMapKey(key));
    bytes += base64Bytes(data[key] ?? "");
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLongField(DATA, MAX_DATA_BYTES));
  const type = secret.type ?? "";
  for (const key of REQUIRED_KEYS[type] ?? []) {
    if (data[key] === undefined) errors.push(requiredField(DATA.key(key)));
    else if (key.startsWith(".docker") && !isJson(data[key])) {
      const detail = "must be valid JSON";
      errors.push(invalidField(DATA.key(key), "<secret contents redacted>", detail));
    }
  }
  if (type === "kubernetes.io/basic-auth" && !data.username && !data.password) {
    errors.push(requiredField(DATA.key("username")), requiredField(DATA.key("password")));
  }
  if (type === "kubernetes.io/service-account-token") {
    if (!secret.metadata.annotations?.[SERVICE_ACCOUNT_ANNOTATION]) {
      const path = FieldPath.root("metadata", "annotations").key(SERVICE_ACCOUNT_ANNOTATION);
      errors.push(requiredField(path));
    }
  }
  return errors;
}

export function validateSecretUpdate(next: Secret, old: Secret): FieldError[] {
  const errors: FieldError[] = [];
  checkImmutable(errors, FieldPath.root("type"), next.type, old.type);
  return errors.concat(validateConfigUpdate(next, old));
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
