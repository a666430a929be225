import { cloneJson, isJsonObject, type JsonObject } from "./json-value.ts";
import type { ObjectSchema, Schema } from "./schema.ts";

/**
 * Puts the defaults of a schema where a value is absent, in place. A null that cannot be null
 * counts as absent; defaults are applied below defaulted values as well.
 */
export function applySchemaDefaults(schema: Schema, value: unknown): void {
  if (schema.kind === "object" && isJsonObject(value)) applyToFields(schema, value);
  else if (schema.kind === "map" && isJsonObject(value)) {
    for (const child of Object.values(value)) applySchemaDefaults(schema.values, child);
  } else if (schema.kind === "list" && Array.isArray(value)) {
    for (const item of value) applySchemaDefaults(schema.items, item);
  }
}

function applyToFields(schema: ObjectSchema, object: JsonObject): void {
  for (const field of schema.fields.values()) {
    const present = Object.hasOwn(object, field.name) ? object[field.name] : undefined;
    const isAbsent = present === undefined || (present === null && field.schema.nullable !== true);
    if (isAbsent && field.default !== undefined) object[field.name] = cloneJson(field.default);
    if (Object.hasOwn(object, field.name)) applySchemaDefaults(field.schema, object[field.name]);
  }
}
