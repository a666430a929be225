import { DecodeError } from "./decode-error.ts";
import { decodeInto } from "./decode.ts";
import type { GroupVersionKind } from "./group-version.ts";
import { jsonDecode, JsonError, type JsonDecodeOptions } from "./json-decode.ts";
import { isJsonObject } from "./json-value.ts";
import type { KubeObject } from "./meta.ts";
import type { Schema } from "./schema.ts";
import { badRequest, requestEntityTooLarge, type StatusError } from "./status-error.ts";

/** What to do with fields an object has twice or its kind does not know. */
export type FieldValidation = "Strict" | "Warn" | "Ignore";

export interface DecodeObjectOptions {
  /** The kind the request is for: stands in the messages. */
  readonly kind: GroupVersionKind;
  readonly schema: Schema;
  readonly fieldValidation: FieldValidation;
  readonly maxBytes?: number;
}

export interface DecodedObject {
  readonly object: KubeObject;
  /** For Warning headers: unknown and duplicate fields, under "Warn". */
  readonly warnings: readonly string[];
}

/**
 * The object in a request body: parsed, checked against its schema, unknown fields dropped.
 * There is always `metadata` afterwards; apiVersion and kind are as given. Throws 400 and 413.
 */
export function decodeObject(
  body: Uint8Array | string,
  options: DecodeObjectOptions,
): DecodedObject {
  const report = options.fieldValidation === "Ignore" ? "ignore" : "report";
  const { value, duplicates } = parseBody(body, options.kind, {
    duplicates: report,
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
  });
  return settleObject(value, { ...options, duplicates });
}

/**
 * The same for a value that is parsed already: from YAML, or the outcome of a patch. The value is
 * changed in place.
 */
export function settleObject(
  value: unknown,
  options: DecodeObjectOptions & { readonly duplicates?: readonly string[] },
): DecodedObject {
  const { kind, schema, fieldValidation, duplicates = [] } = options;
  if (!isJsonObject(value)) throw cannotBeHandled(kind, "json: object expected");
  const unknown = decodeOrRefuse(schema, value, kind);
  const complaints = [...duplicates, ...unknown];
  if (fieldValidation === "Strict" && complaints.length > 0) {
    throw cannotBeHandled(kind, `strict decoding error: ${complaints.join(", ")}`);
  }
  if (!isJsonObject(value["metadata"])) value["metadata"] = {};
  const warnings = fieldValidation === "Warn" ? complaints : [];
  return { object: value as KubeObject, warnings };
}

/** The JSON value of a request body; throws 400 and 413. */
export function parseBody(
  body: Uint8Array | string,
  kind: GroupVersionKind,
  options: JsonDecodeOptions,
): { value: unknown; duplicates: readonly string[] } {
  try {
    return jsonDecode(body, options);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (error.code === "too-large") throw requestEntityTooLarge(error.message);
    throw unrecognized(body, kind, error.message);
  }
}

function decodeOrRefuse(schema: Schema, value: unknown, kind: GroupVersionKind): string[] {
  try {
    return decodeInto(schema, value);
  } catch (error) {
    if (error instanceof DecodeError) throw cannotBeHandled(kind, error.message);
    throw error;
  }
}

function cannotBeHandled({ kind, version }: GroupVersionKind, why: string): StatusError {
  return badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`);
}

const SUMMARY_BYTES = 30;

/** The message ends in the start of the body, in hexadecimal when it is no object. */
function unrecognized(
  body: Uint8Array | string,
  { kind }: GroupVersionKind,
  why: string,
): StatusError {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const start = bytes.subarray(0, SUMMARY_BYTES);
  const isObject = start[0] === 0x7b;
  const shown = isObject ? new TextDecoder().decode(start) : start.toHex();
  const more = bytes.length > SUMMARY_BYTES ? " ..." : "";
  const summary = bytes.length === 0 ? "<empty>" : `${shown}${more}`;
  const cause = `couldn't get version/kind; json parse error: ${why}`;
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind}): ${cause} (${summary})`,
  );
}
