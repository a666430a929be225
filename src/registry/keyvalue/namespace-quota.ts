import { NAMESPACES } from "../../api/index.ts";
import {
  forbidden,
  parseQuantity,
  QuantityError,
  type StatusError,
} from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";

/** Bytes of keys and values that all stores of a namespace may have together. */
export const DEFAULT_QUOTA_BYTES = 64 * 1024 * 1024;
/** Keys that all stores of a namespace may have together. */
export const DEFAULT_QUOTA_KEYS = 100_000;
/** Of a Namespace: a quantity such as "64Mi". */
export const QUOTA_BYTES_ANNOTATION = "kubun.dev/keyvalue-quota";
/** Of a Namespace: a quantity such as "100k". */
export const QUOTA_KEYS_ANNOTATION = "kubun.dev/keyvalue-keys";
/** The cause in the details of a refusal, by which clients know it from other 403s. */
export const QUOTA_EXCEEDED = "KeyValueQuotaExceeded";

export const KEYVALUE_RESOURCE = { group: "kubun.dev", resource: "keyvaluestores" } as const;

export interface Amount {
  readonly bytes: number;
  readonly keys: number;
}

/** What the annotations of a namespace say, or else the defaults. Throws 403 when they are none. */
export function quotaOf(namespace: string, lookup: Lookup): Amount {
  const annotations = lookup.find(NAMESPACES, "", namespace)?.metadata.annotations ?? {};
  return {
    bytes: limitOf(namespace, annotations, QUOTA_BYTES_ANNOTATION) ?? DEFAULT_QUOTA_BYTES,
    keys: limitOf(namespace, annotations, QUOTA_KEYS_ANNOTATION) ?? DEFAULT_QUOTA_KEYS,
  };
}

function limitOf(
  namespace: string,
  annotations: Readonly<Record<string, string>>,
  annotation: string,
): number | undefined {
  const text = annotations[annotation];
  if (text === undefined) return undefined;
  try {
    const limit = parseQuantity(text).value();
    if (limit >= 0) return limit;
  } catch (error) {
    if (!(error instanceof QuantityError)) throw error;
  }
  // A limit that nobody can read must not mean that there is none.
  const what = `annotation ${annotation} of namespace ${namespace}`;
  const why = `${what}: ${JSON.stringify(text)}: want a quantity such as "64Mi"`;
  throw quotaRefusal(namespace, why);
}

/** The 403 of a write for which there is no room. */
export function quotaExceeded(namespace: string, quota: Amount, used: Amount): StatusError {
  const has = `has ${used.keys} keys and ${used.bytes} bytes`;
  const may = `at most ${quota.keys} keys and ${quota.bytes} bytes are allowed`;
  const how = `annotations ${QUOTA_KEYS_ANNOTATION} and ${QUOTA_BYTES_ANNOTATION} of the Namespace`;
  return quotaRefusal(namespace, `quota exceeded: namespace ${namespace} ${has}, ${may} (${how})`);
}

function quotaRefusal(namespace: string, why: string): StatusError {
  const error = forbidden(KEYVALUE_RESOURCE, namespace, why);
  const causes = [{ reason: QUOTA_EXCEEDED, message: why }];
  error.status.details = { ...error.status.details, causes };
  return error;
}
