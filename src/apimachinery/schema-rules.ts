import { checkSchema } from "./check-schema.ts";
import {
  type FieldError,
  invalidField,
  notSupportedField,
  tooLongField,
  tooManyField,
  typeInvalidField,
} from "./field-error.ts";
import type { FieldPath } from "./field-path.ts";
import { parseCidr, parseIpAddress } from "./ip-address.ts";
import { isJsonObject, jsonEquals } from "./json-value.ts";
import type { ValueRules } from "./schema.ts";
import { parseGoDuration, parseRfc3339 } from "./time.ts";

/** OpenAPI's validation keywords, for a value whose type is right already. */
export function checkRules(
  rules: ValueRules,
  value: unknown,
  path: FieldPath,
  errors: FieldError[],
): void {
  const complain = (why: string): void => {
    errors.push(invalidField(path, value, `${String(path)} in body ${why}`));
  };
  checkEnum(rules, value, path, errors);
  if (typeof value === "string") checkString(rules, value, path, errors, complain);
  else if (typeof value === "number") checkNumber(rules, value, complain);
  else if (Array.isArray(value)) checkItems(rules, value, path, errors, complain);
  else if (isJsonObject(value)) checkProperties(rules, value, path, errors, complain);
  checkCombinations(rules, value, path, errors, complain);
}

type Complain = (why: string) => void;

function checkEnum(rules: ValueRules, value: unknown, path: FieldPath, errors: FieldError[]): void {
  if (rules.enum === undefined) return;
  if (rules.enum.some((allowed) => jsonEquals(allowed, value))) return;
  const supported = rules.enum.map((allowed) =>
    typeof allowed === "string" ? allowed : JSON.stringify(allowed),
  );
  errors.push(notSupportedField(path, value, supported));
}

function checkString(
  rules: ValueRules,
  value: string,
  path: FieldPath,
  errors: FieldError[],
  complain: Complain,
): void {
  const length = Array.from(value).length;
  if (rules.maxLength !== undefined && length > rules.maxLength) {
    errors.push(tooLongField(path, rules.maxLength));
  }
  if (rules.minLength !== undefined && length < rules.minLength) {
    complain(`should be at least ${rules.minLength} chars long`);
  }
  if (rules.pattern !== undefined && !rules.pattern.test(value)) {
    complain(`should match '${rules.pattern.source}'`);
  }
  const isFormat = FORMATS.get(rules.format ?? "");
  if (isFormat !== undefined && !isFormat(value)) {
    const why = `must be of type ${rules.format}: ${JSON.stringify(value)}`;
    errors.push(typeInvalidField(path, value, `${String(path)} in body ${why}`));
  }
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const EMAIL = /^[^\s@]+@[^\s@]+$/;
const HOSTNAME = /^(?=.{1,255}$)[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?(?:\.[-A-Za-z0-9]+)*\.?$/;

/** Formats that custom resources are held to; others are only documentation. */
const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["date-time", (text) => !Number.isNaN(parseRfc3339(text))],
  ["date", (text) => !Number.isNaN(parseRfc3339(`${text}T00:00:00Z`))],
  ["duration", (text) => !Number.isNaN(parseGoDuration(text))],
  ["byte", (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)],
  ["ipv4", (text) => parseIpAddress(text)?.family === 4],
  ["ipv6", (text) => parseIpAddress(text)?.family === 6],
  ["cidr", (text) => parseCidr(text) !== undefined],
  ["uuid", (text) => UUID.test(text)],
  ["email", (text) => EMAIL.test(text)],
  ["hostname", (text) => HOSTNAME.test(text)],
  ["uri", (text) => URL.canParse(text)],
  ["mac", (text) => /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i.test(text)],
]);

function checkNumber(rules: ValueRules, value: number, complain: Complain): void {
  const { minimum, maximum, multipleOf } = rules;
  if (minimum !== undefined) {
    if (rules.exclusiveMinimum === true && value <= minimum) {
      complain(`should be greater than ${minimum}`);
    } else if (value < minimum) complain(`should be greater than or equal to ${minimum}`);
  }
  if (maximum !== undefined) {
    if (rules.exclusiveMaximum === true && value >= maximum) {
      complain(`should be less than ${maximum}`);
    } else if (value > maximum) complain(`should be less than or equal to ${maximum}`);
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    complain(`should be a multiple of ${multipleOf}`);
  }
}

function checkItems(
  rules: ValueRules,
  list: readonly unknown[],
  path: FieldPath,
  errors: FieldError[],
  complain: Complain,
): void {
  if (rules.maxItems !== undefined && list.length > rules.maxItems) {
    errors.push(tooManyField(path, list.length, rules.maxItems));
  }
  if (rules.minItems !== undefined && list.length < rules.minItems) {
    complain(`should have at least ${rules.minItems} items`);
  }
  if (rules.uniqueItems !== true) return;
  const isUnique = new Set(list.map((item) => JSON.stringify(item))).size === list.length;
  if (!isUnique) complain("shouldn't contain duplicates");
}

function checkProperties(
  rules: ValueRules,
  object: object,
  path: FieldPath,
  errors: FieldError[],
  complain: Complain,
): void {
  const count = Object.keys(object).length;
  if (rules.maxProperties !== undefined && count > rules.maxProperties) {
    errors.push(tooManyField(path, count, rules.maxProperties));
  }
  if (rules.minProperties !== undefined && count < rules.minProperties) {
    complain(`should have at least ${rules.minProperties} properties`);
  }
}

function checkCombinations(
  rules: ValueRules,
  value: unknown,
  path: FieldPath,
  errors: FieldError[],
  complain: Complain,
): void {
  for (const schema of rules.allOf ?? []) errors.push(...checkSchema(schema, value, path));
  const holds = (schema: Parameters<typeof checkSchema>[0]): boolean =>
    checkSchema(schema, value, path).length === 0;
  if (rules.anyOf !== undefined && !rules.anyOf.some(holds)) {
    complain("must validate at least one schema (anyOf)");
  }
  if (rules.oneOf !== undefined) {
    const valid = rules.oneOf.filter(holds).length;
    const found = valid === 0 ? "none valid" : `${valid} valid alternatives`;
    if (valid !== 1) complain(`must validate one and only one schema (oneOf). Found ${found}`);
  }
  if (rules.not !== undefined && holds(rules.not)) {
    complain("must not validate the schema (not)");
  }
}
