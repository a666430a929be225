/*
 * The checks that recur in every kind. Each adds what it finds to `errors`, in Kubernetes' words:
 * tools match on them.
 */
import {
  type FieldError,
  type FieldPath,
  invalidField,
  jsonEquals,
  notSupportedField,
  parseQuantity,
  type Quantity,
  requiredField,
  validatePercent,
  validatePortName,
  validatePortNumber,
  immutableField,
} from "../apimachinery/index.ts";

export const PROTOCOLS = ["SCTP", "TCP", "UDP"] as const;

/** One error a message. */
export function reject(
  errors: FieldError[],
  path: FieldPath,
  value: unknown,
  messages: readonly string[],
): void {
  for (const message of messages) errors.push(invalidField(path, value, message));
}

/** A text that must be there and follow a rule. */
export function checkName(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
  rule: (text: string) => string[],
): void {
  if (!value) errors.push(requiredField(path));
  else reject(errors, path, value, rule(value));
}

/** A text that must be there. */
export function checkPresent(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
): void {
  if (!value) errors.push(requiredField(path));
}

/** A text that may be absent, but must follow a rule. */
export function checkOptional(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
  rule: (text: string) => string[],
): void {
  if (value) reject(errors, path, value, rule(value));
}

/** A value of a closed set; `supported` is in alphabetical order, as messages list it. */
export function checkOneOf(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
  supported: readonly string[],
): void {
  if (!value) errors.push(requiredField(path));
  else if (!supported.includes(value)) errors.push(notSupportedField(path, value, supported));
}

/** The same for a value that may be absent. */
export function checkOptionalOneOf(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
  supported: readonly string[],
): void {
  if (value) checkOneOf(errors, path, value, supported);
}

export function checkNonNegative(
  errors: FieldError[],
  path: FieldPath,
  value: number | undefined,
): void {
  if (value !== undefined && value < 0) {
    errors.push(invalidField(path, value, "must be greater than or equal to 0"));
  }
}

export function checkPositive(
  errors: FieldError[],
  path: FieldPath,
  value: number | undefined,
): void {
  if (value !== undefined && value <= 0) {
    errors.push(invalidField(path, value, "must be greater than 0"));
  }
}

/** A port by number, or by the name a container gives it. */
export function checkPortNumberOrName(
  errors: FieldError[],
  path: FieldPath,
  port: number | string | undefined,
): void {
  if (typeof port === "string") reject(errors, path, port, validatePortName(port));
  else reject(errors, path, port ?? 0, validatePortNumber(port ?? 0));
}

/** A count, or a share in percent: neither is negative. */
export function checkIntOrPercent(
  errors: FieldError[],
  path: FieldPath,
  value: number | string | undefined,
): void {
  if (typeof value === "string") reject(errors, path, value, validatePercent(value));
  else checkNonNegative(errors, path, value);
}

/** Of a whole there is no more than all. */
export function checkAtMostAll(
  errors: FieldError[],
  path: FieldPath,
  value: number | string | undefined,
): void {
  if (typeof value !== "string" || validatePercent(value).length > 0) return;
  if (Number.parseInt(value, 10) > 100) {
    errors.push(invalidField(path, value, "must not be greater than 100%"));
  }
}

/** Undefined for what is no quantity; the decoder has refused those already. */
export function quantityOf(text: string | undefined): Quantity | undefined {
  if (text === undefined) return undefined;
  try {
    return parseQuantity(text);
  } catch {
    return undefined;
  }
}

export function checkImmutable(
  errors: FieldError[],
  path: FieldPath,
  next: unknown,
  old: unknown,
): void {
  if (!jsonEquals(next, old)) errors.push(immutableField(path, next));
}
