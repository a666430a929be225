import { isJsonObject } from "../json-value.ts";
import { parseRfc3339 } from "../time.ts";
import type { Schema } from "../schema.ts";

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
  switch (schema.kind) {
    case "number":
      return value;
    case "string":
      return schema.rules?.format === "date-time" && typeof value === "string"
        ? dateOf(value)
        : value;
    case "list":
      return Array.isArray(value)
        ? value.map((item) => celValueOf(schema.items, item))
        : celValue(value);
    case "map":
      if (!isJsonObject(value)) return celValue(value);
      return new Map(
        Object.entries(value).map(([key, child]) => [key, celValueOf(schema.values, child)]),
      );
    case "object": {
      if (!isJsonObject(value)) return celValue(value);
      const fields = new Map<string, unknown>();
      for (const [name, child] of Object.entries(value)) {
        const field = schema.fields.get(name);
        if (field !== undefined && child !== undefined && child !== null) {
          fields.set(celFieldName(name), celValueOf(field.schema, child));
        } else if (field !== undefined && field.schema.nullable === true) {
          fields.set(celFieldName(name), null);
        }
      }
      return fields;
    }
    default:
      return celValue(value);
  }
}

function dateOf(text: string): unknown {
  const moment = parseRfc3339(text);
  return Number.isNaN(moment) ? text : new Date(moment);
}
