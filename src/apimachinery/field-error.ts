import type { FieldPath } from "./field-path.ts";
import { goQuote } from "./go-text.ts";

/** The reasons of a field error, as they stand in `status.details.causes[].reason`. */
export type FieldErrorType =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueDuplicate"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueTypeInvalid"
  | "FieldValueNotFound"
  | "InternalError";

/** One thing that is wrong with an object; {@link invalid} of status-error.ts carries a list. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** "spec.containers[0].name". */
  readonly field: string;
  /** The offending value; absent from the message of those types that do not show it. */
  readonly badValue?: unknown;
  readonly detail: string;
}

const TITLES: Readonly<Record<FieldErrorType, string>> = {
  FieldValueRequired: "Required value",
  FieldValueInvalid: "Invalid value",
  FieldValueNotSupported: "Unsupported value",
  FieldValueDuplicate: "Duplicate value",
  FieldValueForbidden: "Forbidden",
  FieldValueTooLong: "Too long",
  FieldValueTooMany: "Too many",
  FieldValueTypeInvalid: "Invalid value",
  FieldValueNotFound: "Not found",
  InternalError: "Internal error",
};

const WITHOUT_VALUE: ReadonlySet<FieldErrorType> = new Set([
  "FieldValueRequired",
  "FieldValueForbidden",
  "FieldValueTooLong",
  "InternalError",
]);

/** Detail of every refused change of a field that cannot change. */
export const IMMUTABLE_DETAIL = "field is immutable";

type Where = FieldPath | string;

export function requiredField(field: Where, detail = ""): FieldError {
  return { type: "FieldValueRequired", field: String(field), detail };
}

export function invalidField(field: Where, badValue: unknown, detail: string): FieldError {
  return { type: "FieldValueInvalid", field: String(field), badValue, detail };
}

/** The value has the wrong JSON type. */
export function typeInvalidField(field: Where, badValue: unknown, detail: string): FieldError {
  return { type: "FieldValueTypeInvalid", field: String(field), badValue, detail };
}

export function notSupportedField(
  field: Where,
  badValue: unknown,
  supported: readonly string[],
): FieldError {
  const list = supported.map((value) => goQuote(value)).join(", ");
  const detail = supported.length === 0 ? "" : `supported values: ${list}`;
  return { type: "FieldValueNotSupported", field: String(field), badValue, detail };
}

export function duplicateField(field: Where, badValue: unknown): FieldError {
  return { type: "FieldValueDuplicate", field: String(field), badValue, detail: "" };
}

/** The value is well formed, but not allowed here or now. */
export function forbiddenField(field: Where, detail: string): FieldError {
  return { type: "FieldValueForbidden", field: String(field), detail };
}

export function tooLongField(field: Where, maxBytes: number): FieldError {
  const unit = maxBytes === 1 ? "byte" : "bytes";
  const detail = `may not be more than ${maxBytes} ${unit}`;
  return { type: "FieldValueTooLong", field: String(field), detail };
}

export function tooManyField(field: Where, actual: number, max: number): FieldError {
  const unit = max === 1 ? "item" : "items";
  const detail = `must have at most ${max} ${unit}`;
  return { type: "FieldValueTooMany", field: String(field), badValue: actual, detail };
}

/** A reference to something that does not exist. */
export function notFoundField(field: Where, badValue: unknown): FieldError {
  return { type: "FieldValueNotFound", field: String(field), badValue, detail: "" };
}

export function immutableField(field: Where, badValue: unknown): FieldError {
  return invalidField(field, badValue, IMMUTABLE_DETAIL);
}

/** `Invalid value: "x": detail`: the message of the error's cause. */
export function fieldErrorBody(error: FieldError): string {
  const title = TITLES[error.type];
  const value = WITHOUT_VALUE.has(error.type) ? "" : `: ${valueText(error.badValue)}`;
  return `${title}${value}${error.detail === "" ? "" : `: ${error.detail}`}`;
}

/** `spec.replicas: Invalid value: -1: must be greater than or equal to 0`. */
export function fieldErrorText(error: FieldError): string {
  return `${error.field}: ${fieldErrorBody(error)}`;
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return goQuote(value);
  if (typeof value === "bigint") return value.toString();
  return JSON.stringify(value);
}
