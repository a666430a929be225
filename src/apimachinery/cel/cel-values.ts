import { isJsonObject, type JsonObject } from "../json-value.ts";
import { parseRfc3339 } from "../time.ts";
import type { ObjectSchema, Schema } from "../schema.ts";

/** Names that are words of the language: a field of such a name is written with underscores. */
const RESERVED = new Set(
  (
    "true false null in as break const continue else for function if import let loop package " +
    "namespace return var void while"
  ).split(" "),
);

/** How a field is named in expressions: "x-prop" is self.x__dash__prop. */
export function celFieldName(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`;
  if (/^[A-Za-z_]\w*$/.test(name) && !name.includes("__")) return name;
  return name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
}

/** A JSON value as expressions see it: whole numbers are int, and others double. */
export function celValue(value: unknown): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (!isJsonObject(value)) return value;
  const fields = new Map<string, unknown>();
  for (const [name, child] of Object.entries(value)) fields.set(name, celValue(child));
  return fields;
}

/** The same by a schema, which says what is a double, a moment, and how fields are named. */
export function celValueOf(schema: Schema, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (schema.kind === "number") return value;
  if (schema.kind === "string") {
    const isMoment = schema.rules?.format === "date-time" && typeof value === "string";
    return isMoment ? dateOf(value) : value;
  }
  if (schema.kind === "list" && Array.isArray(value)) {
    return value.map((item) => celValueOf(schema.items, item));
  }
  if (!isJsonObject(value)) return celValue(value);
  if (schema.kind === "object") return celFields(schema, value);
  if (schema.kind !== "map") return celValue(value);
  const entries = Object.entries(value);
  return new Map(entries.map(([key, child]) => [key, celValueOf(schema.values, child)]));
}

/** Fields that the schema does not know are none for expressions. */
function celFields(schema: ObjectSchema, value: JsonObject): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, child] of Object.entries(value)) {
    const field = schema.fields.get(name);
    if (field === undefined || child === undefined) continue;
    if (child === null && field.schema.nullable !== true) continue;
    fields.set(celFieldName(name), celValueOf(field.schema, child));
  }
  return fields;
}

function dateOf(text: string): unknown {
  const moment = parseRfc3339(text);
  return Number.isNaN(moment) ? text : new Date(moment);
}
