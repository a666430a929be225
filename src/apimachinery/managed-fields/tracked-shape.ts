import { getField, isJsonObject, type JsonObject } from "../json-value.ts";
import { ANY_SCHEMA, type ListSchema, type MapType, type Schema } from "../schema.ts";

/** A schema, and the map type by which the field that holds the value overrides it. */
export interface TrackedSchema {
  readonly schema: Schema;
  readonly mapType?: MapType | undefined;
  /** Whether the holder of the value names this field; false for keys of maps. */
  readonly named: boolean;
}

/** How ownership looks at one value: as one thing, by its fields, or by its items. */
export type TrackedShape = "leaf" | "fields" | "items";

/**
 * Values that are atomic, and values without any structure, are leaves: one owner has them whole.
 * What a schema says nothing about is taken for what it is: an object by its fields, a list whole.
 */
export function shapeOf({ schema, mapType }: TrackedSchema, value: unknown): TrackedShape {
  if (schema.kind === "object" || schema.kind === "map") {
    return (mapType ?? schema.mapType) === "atomic" || !isJsonObject(value) ? "leaf" : "fields";
  }
  if (schema.kind === "list") {
    return schema.listType === "atomic" || !Array.isArray(value) ? "leaf" : "items";
  }
  const isFree = schema.kind === "any" && !schema.objectOnly && mapType !== "atomic";
  return isFree && isJsonObject(value) ? "fields" : "leaf";
}

const ANY_KEY: TrackedSchema = { schema: ANY_SCHEMA, named: false };

/** The schema of a field or key; undefined for a field that the schema does not know. */
export function fieldSchemaOf({ schema }: TrackedSchema, name: string): TrackedSchema | undefined {
  if (schema.kind === "map") return { schema: schema.values, named: false };
  if (schema.kind !== "object") return ANY_KEY;
  const field = schema.fields.get(name);
  if (field !== undefined) return { schema: field.schema, mapType: field.mapType, named: true };
  return schema.preserveUnknown ? ANY_KEY : undefined;
}

export function itemSchemaOf(schema: ListSchema): TrackedSchema {
  return { schema: schema.items, named: false };
}

/** An item that lacks one of the fields by which items are told apart. */
export class MissingKeyError extends Error {
  override readonly name = "MissingKeyError";
}

/** The path element of a list's item: `k:{"name":"app"}` or `v:"text"`. */
export function itemElement(list: ListSchema, item: unknown): string {
  if (list.listType === "set") return `v:${JSON.stringify(item)}`;
  const key: JsonObject = {};
  for (const name of list.mapKeys.toSorted()) {
    const value = isJsonObject(item) ? getField(item, name) : undefined;
    const known = value ?? keyDefault(list.items, name);
    if (known === undefined || known === null) {
      const why = `omits key field "${name}" (and doesn't have default value)`;
      throw new MissingKeyError(`associative list with keys has an element that ${why}`);
    }
    key[name] = known;
  }
  return `k:${JSON.stringify(key)}`;
}

/** Ports are TCP unless they say otherwise; it is the one default among built-in key fields. */
function keyDefault(items: Schema, name: string): unknown {
  if (items.kind !== "object") return undefined;
  const stated = items.fields.get(name)?.default;
  return stated ?? (items.builtIn && name === "protocol" ? "TCP" : undefined);
}

/** The elements of a list's items, where an item without key stands for its index. */
export function itemElements(list: ListSchema, items: readonly unknown[]): string[] {
  return items.map((item, index) => {
    try {
      return itemElement(list, item);
    } catch (error) {
      if (error instanceof MissingKeyError) return `i:${index}`;
      throw error;
    }
  });
}
