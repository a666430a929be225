import { duplicateField, type FieldError, requiredField, typeInvalidField } from "./field-error.ts";
import type { FieldPath } from "./field-path.ts";
import { getField, isJsonObject, type JsonObject } from "./json-value.ts";
import { checkRules } from "./schema-rules.ts";
import type { ListSchema, ObjectSchema, Schema } from "./schema.ts";
import { parseRfc3339 } from "./time.ts";

/** After so many errors an object is not looked at any further. */
export const MAX_SCHEMA_ERRORS = 100;

/**
 * What is wrong with a value's structure: types, required fields, validation keywords and items of
 * set and map lists that are there twice. Messages are those Kubernetes gives for custom resources.
 */
export function checkSchema(schema: Schema, value: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  check(schema, value, path, errors);
  return errors;
}

function check(schema: Schema, value: unknown, path: FieldPath, errors: FieldError[]): void {
  if (errors.length >= MAX_SCHEMA_ERRORS) return;
  if (value === null && schema.nullable === true) return;
  const expected = expectedType(schema, value);
  if (expected !== undefined) {
    errors.push(wrongType(value, expected, path));
    return;
  }
  if (schema.kind === "object") checkObject(schema, value as JsonObject, path, errors);
  else if (schema.kind === "list") checkList(schema, value as unknown[], path, errors);
  else if (schema.kind === "map") {
    for (const [key, child] of Object.entries(value as JsonObject)) {
      check(schema.values, child, path.key(key), errors);
    }
  }
  if (schema.rules !== undefined) checkRules(schema.rules, value, path, errors);
}

function checkObject(
  schema: ObjectSchema,
  object: JsonObject,
  path: FieldPath,
  errors: FieldError[],
): void {
  if (schema.embeddedResource) {
    for (const name of ["apiVersion", "kind"]) {
      if (getField(object, name)) continue;
      errors.push(requiredField(path.child(name), "must not be empty"));
    }
  }
  for (const name of schema.required) {
    if (getField(object, name) === undefined) errors.push(requiredField(path.child(name)));
  }
  for (const key in object) {
    const field = schema.fields.get(key);
    const child = object[key];
    if (field === undefined || child === undefined) continue;
    check(field.schema, child, path.child(key), errors);
  }
}

function checkList(
  schema: ListSchema,
  list: readonly unknown[],
  path: FieldPath,
  errors: FieldError[],
): void {
  for (const [index, item] of list.entries()) check(schema.items, item, path.index(index), errors);
  if (schema.listType === "atomic" || list.length < 2) return;
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const identity = identityOf(schema, item);
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.push(duplicateField(path.index(index), identity));
    seen.add(text);
  }
}

/** What must be unique: the item of a set, the key fields of an item of a map list. */
function identityOf(schema: ListSchema, item: unknown): unknown {
  if (schema.listType === "set" || !isJsonObject(item)) return item;
  const entries = schema.mapKeys.map((key) => [key, getField(item, key)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** The name of the type the schema wants, when the value is of another. */
function expectedType(schema: Schema, value: unknown): string | undefined {
  switch (schema.kind) {
    case "object":
    case "map":
      return isJsonObject(value) ? undefined : "object";
    case "list":
      return Array.isArray(value) ? undefined : "array";
    case "string":
    case "byte":
      return typeof value === "string" ? undefined : "string";
    case "time":
    case "micro-time":
      if (typeof value !== "string") return "string";
      return Number.isNaN(parseRfc3339(value)) ? "date-time" : undefined;
    case "boolean":
      return typeof value === "boolean" ? undefined : "boolean";
    case "int32":
    case "int64":
      return Number.isInteger(value) ? undefined : "integer";
    case "number":
      return typeof value === "number" ? undefined : "number";
    case "quantity":
    case "int-or-string":
      return typeof value === "string" || Number.isInteger(value) ? undefined : "integer,string";
    case "any":
      return schema.objectOnly && !isJsonObject(value) ? "object" : undefined;
  }
}

function wrongType(value: unknown, expected: string, path: FieldPath): FieldError {
  const isText = expected === "date-time";
  const shown = isText ? value : openApiTypeName(value);
  const where = String(path);
  const detail = `${where} in body must be of type ${expected}: ${JSON.stringify(shown)}`;
  return typeInvalidField(path, shown, detail);
}

function openApiTypeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
