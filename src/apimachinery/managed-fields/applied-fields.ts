import { unreachable } from "../../lib/index.ts";
import { getField, isJsonObject, type JsonObject, jsonTypeName } from "../json-value.ts";
import type { ListSchema, Schema } from "../schema.ts";
import { isOwnable } from "./compare-fields.ts";
import { elementText, type FieldsV1, inOrder, LEAF, NO_FIELDS, nodeOf } from "./fields-v1.ts";
import {
  fieldSchemaOf,
  itemElement,
  itemSchemaOf,
  MissingKeyError,
  shapeOf,
  type TrackedSchema,
} from "./tracked-shape.ts";

/** What an applied configuration says that its kind cannot hold; the message says where. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

/**
 * The fields that an applied configuration names. Parents are owned by those who own something
 * below them, unless they are empty. Throws {@link ConfigurationError}.
 */
export function appliedFields(schema: Schema, configuration: JsonObject): FieldsV1 {
  const walk = new AppliedFields();
  const fields = walk.below({ schema, named: true }, configuration, "", "") ?? NO_FIELDS;
  walk.finish();
  return fields;
}

class AppliedFields {
  readonly #complaints: string[] = [];

  finish(): void {
    const [only] = this.#complaints;
    if (only === undefined) return;
    if (this.#complaints.length === 1) throw new ConfigurationError(only);
    const lines = this.#complaints.map((complaint) => `\n  ${complaint}`);
    throw new ConfigurationError(`errors:${lines.join("")}`);
  }

  below(
    tracked: TrackedSchema,
    object: JsonObject,
    path: string,
    parent?: string,
  ): FieldsV1 | undefined {
    const node: Record<string, FieldsV1> = {};
    for (const name of Object.keys(object)) {
      const child = fieldSchemaOf(tracked, name);
      const childPath = `${path}.${name}`;
      if (child === undefined) {
        this.#complaints.push(`${childPath}: field not declared in schema`);
        continue;
      }
      const value = getField(object, name);
      const below = parent === "" && name === "metadata" ? name : undefined;
      const found = this.#node(child, value, childPath, below);
      if (parent !== undefined && !isOwnable(parent, name)) continue;
      const empty = value === null || (isJsonObject(value) && Object.keys(value).length === 0);
      const field = nodeOf(found ?? NO_FIELDS, empty || !child.named || found === LEAF);
      if (field !== undefined) node[`f:${name}`] = field;
    }
    return nodeOf(inOrder(node), false);
  }

  #node(
    tracked: TrackedSchema,
    value: unknown,
    path: string,
    parent?: string,
  ): FieldsV1 | undefined {
    this.#assertType(tracked, value, path);
    switch (shapeOf(tracked, value)) {
      case "leaf":
        return LEAF;
      case "fields":
        return this.below(tracked, value as JsonObject, path, parent);
      case "items":
        return this.#items(tracked.schema as ListSchema, value as readonly unknown[], path);
    }
  }

  #items(list: ListSchema, items: readonly unknown[], path: string): FieldsV1 | undefined {
    const node: Record<string, FieldsV1> = {};
    const itemSchema = itemSchemaOf(list);
    for (const [index, item] of items.entries()) {
      const element = this.#element(list, item, index, path);
      if (element === undefined) continue;
      if (element in node) {
        const text = elementText(element);
        this.#complaints.push(`${path}: duplicate entries for key ${text}`);
        continue;
      }
      const found = this.#node(itemSchema, item, path + elementText(element));
      node[element] = nodeOf(found ?? NO_FIELDS, true) ?? LEAF;
    }
    return nodeOf(inOrder(node), false);
  }

  #element(list: ListSchema, item: unknown, index: number, path: string): string | undefined {
    try {
      return itemElement(list, item);
    } catch (error) {
      if (!(error instanceof MissingKeyError)) throw error;
      this.#complaints.push(`${path}: element ${index}: ${error.message}`);
      return undefined;
    }
  }

  #assertType({ schema }: TrackedSchema, value: unknown, path: string): void {
    if (value === null || value === undefined) return;
    const expected = expectedType(schema, value);
    if (expected !== undefined) this.#complaints.push(`${path}: expected ${expected}`);
  }
}

/** What a value should be and is, as Kubernetes says it; undefined when it is right. */
function expectedType(schema: Schema, value: unknown): string | undefined {
  switch (schema.kind) {
    case "list":
      return Array.isArray(value) ? undefined : `list, got ${jsonTypeName(value)}`;
    case "object":
    case "map":
      return isJsonObject(value) ? undefined : `map, got ${jsonTypeName(value)}`;
    case "string":
    case "byte":
      if (typeof value === "string") return undefined;
      return `string, got &value.valueUnstructured{Value:${JSON.stringify(value)}}`;
    case "int32":
    case "int64":
    case "number":
      return typeof value === "number" ? undefined : `numeric (int or float), got ${goType(value)}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `boolean, got ${jsonTypeName(value)}`;
    case "any":
    case "int-or-string":
    case "quantity":
    case "time":
    case "micro-time":
      return undefined;
    default:
      return unreachable(schema);
  }
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  return isJsonObject(value) ? "map[string]interface {}" : jsonTypeName(value);
}
