import { DecodeError, TypeMismatch } from "./decode-error.ts";
import { decodeScalar, goTypeName } from "./decode-scalar.ts";
import { isJsonObject, type JsonObject, jsonTypeName, setField } from "./json-value.ts";
import {
  ANY_SCHEMA,
  type FieldSchema,
  type ListSchema,
  type MapSchema,
  type ObjectSchema,
  type Schema,
} from "./schema.ts";

/** As many complaints about one object as Kubernetes' strict decoder collects. */
export const MAX_STRICT_ERRORS = 100;

/**
 * Brings a parsed JSON value into the shape of its schema, in place and in one pass: unknown fields
 * are dropped, nulls of built-in types too, times and quantities become canonical.
 *
 * Returns what a strict decoder says: `unknown field "spec.foo"`. Throws {@link DecodeError} when
 * a built-in field has a value of the wrong type; custom resources report that in `checkSchema`.
 */
export function decodeInto(schema: Schema, value: unknown): string[] {
  return new Decoder(schema).run(value);
}

/** Drops unknown fields, in place, whatever else is wrong with the value. */
export function prune(schema: Schema, value: unknown): void {
  if (schema.kind === "object" && isJsonObject(value)) {
    for (const key in value) {
      const field = schema.fields.get(key);
      if (field !== undefined) prune(field.schema, value[key]);
      else if (!schema.preserveUnknown) delete value[key];
    }
  } else if (schema.kind === "map" && isJsonObject(value)) {
    for (const key in value) prune(schema.values, value[key]);
  } else if (schema.kind === "list" && Array.isArray(value)) {
    for (const item of value) prune(schema.items, item);
  }
}

class Decoder {
  readonly #complaints: string[] = [];
  readonly #root: Schema;
  /** From the root to the value at hand: field names, list indices and map keys. */
  readonly #path: (string | number)[] = [];

  constructor(root: Schema) {
    this.#root = root;
  }

  run(value: unknown): string[] {
    const isBuiltIn = this.#root.kind === "object" && this.#root.builtIn;
    try {
      this.#decode(this.#root, value, isBuiltIn ? "typed" : "untyped");
    } catch (error) {
      // The path still stands where the error arose.
      if (error instanceof TypeMismatch) throw unmarshalError(error, this.#root, this.#path);
      throw error;
    }
    return this.#complaints;
  }

  /** @returns the value to store in place of the given one, most often the same */
  #decode(schema: Schema, value: unknown, mode: Mode): unknown {
    if (schema.kind === "object") {
      return this.#object(schema, value, schema.builtIn ? "typed" : "untyped");
    }
    if (schema.kind === "list") return this.#list(schema, value, mode);
    if (schema.kind === "map") return this.#map(schema, value, mode);
    if (schema.kind === "any" || mode === "untyped") return value;
    return decodeScalar(schema.kind, value);
  }

  #object(schema: ObjectSchema, value: unknown, mode: Mode): unknown {
    if (!isJsonObject(value)) return mismatch(schema, value, mode);
    const path = this.#path;
    for (const key in value) {
      const field = schema.fields.get(key);
      const child = value[key];
      if (field === undefined) {
        if (!schema.preserveUnknown) this.#unknown(value, key);
      } else if (child === null) {
        if (dropsNull(schema, field)) delete value[key];
      } else {
        path.push(key);
        const decoded = this.#decode(field.schema, child, mode);
        path.pop();
        if (decoded !== child) {
          if (decoded === null) delete value[key];
          else value[key] = decoded;
        }
      }
    }
    return value;
  }

  #map(schema: MapSchema, value: unknown, mode: Mode): unknown {
    if (!isJsonObject(value)) return mismatch(schema, value, mode);
    const path = this.#path;
    for (const key in value) {
      const child = value[key];
      path.push(key);
      const decoded = this.#element(schema.values, child, mode);
      path.pop();
      if (decoded !== child) setField(value, key, decoded);
    }
    return value;
  }

  #list(schema: ListSchema, value: unknown, mode: Mode): unknown {
    if (!Array.isArray(value)) return mismatch(schema, value, mode);
    const path = this.#path;
    const list: unknown[] = value;
    for (let index = 0; index < list.length; index++) {
      const child = list[index];
      path.push(index);
      const decoded = this.#element(schema.items, child, mode);
      path.pop();
      if (decoded !== child) list[index] = decoded;
    }
    return value;
  }

  #element(schema: Schema, value: unknown, mode: Mode): unknown {
    if (value === null) return mode === "typed" ? zeroValue(schema) : value;
    return this.#decode(schema, value, mode);
  }

  #unknown(object: JsonObject, key: string): void {
    if (this.#complaints.length < MAX_STRICT_ERRORS) {
      this.#complaints.push(`unknown field "${pathText([...this.#path, key])}"`);
    }
    delete object[key];
  }
}

/** Typed values are checked at once, untyped ones are left to `checkSchema`. */
type Mode = "typed" | "untyped";

function mismatch(schema: Schema, value: unknown, mode: Mode): unknown {
  if (mode === "typed") throw new TypeMismatch(value, goTypeName(schema));
  return value;
}

/**
 * Go's message: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of
 * type int32`. It names the innermost struct and all fields, but neither list indices nor map keys.
 */
function unmarshalError(
  { value, goType, isStandalone }: TypeMismatch,
  root: Schema,
  path: readonly (string | number)[],
): DecodeError {
  let schema = root;
  let struct = "";
  const fields: string[] = [];
  for (const segment of path) {
    if (schema.kind === "object") {
      struct = schema.typeName.slice(schema.typeName.lastIndexOf(".") + 1);
      fields.push(String(segment));
      schema = schema.fields.get(String(segment))?.schema ?? ANY_SCHEMA;
    } else if (schema.kind === "map") schema = schema.values;
    else if (schema.kind === "list") schema = schema.items;
  }
  const isOddNumber = typeof value === "number" && goType.startsWith("int");
  const what = isOddNumber ? `number ${value}` : jsonTypeName(value);
  const isField = fields.length > 0 && !isStandalone;
  const where = isField ? `struct field ${struct}.${fields.join(".")}` : "value";
  return new DecodeError(`json: cannot unmarshal ${what} into Go ${where} of type ${goType}`);
}

/** Custom resources keep a null where null is a value; built-in fields never do. */
function dropsNull(owner: ObjectSchema, field: FieldSchema): boolean {
  return owner.builtIn || (field.schema.nullable !== true && field.default !== undefined);
}

/** What Go leaves in a list or map where the JSON has null. */
function zeroValue(schema: Schema): unknown {
  switch (schema.kind) {
    case "object":
    case "map":
      return {};
    case "list":
      return [];
    case "string":
    case "byte":
      return "";
    case "boolean":
      return false;
    case "quantity":
      return "0";
    case "int32":
    case "int64":
    case "number":
    case "int-or-string":
      return 0;
    case "any":
    case "time":
    case "micro-time":
      return null;
  }
}

/** `spec.containers[0].image`, as the strict decoder writes paths. */
export function pathText(path: readonly (string | number)[]): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else text += text === "" ? segment : `.${segment}`;
  }
  return text;
}
