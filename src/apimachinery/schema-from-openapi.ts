import { isJsonObject, type JsonObject } from "./json-value.ts";
import { LinearPattern, PatternError } from "./linear-pattern.ts";
import {
  ANY_SCHEMA,
  type FieldSchema,
  type ListType,
  type MapType,
  type ObjectSchema,
  type PatchStrategy,
  REPLACE_LISTS,
  type ScalarKind,
  type Schema,
  type SchemaExtras,
  type ValidationRule,
  type ValueRules,
} from "./schema.ts";

export interface SchemaFromOpenApiOptions {
  /** Schema of `metadata` at the root and in embedded resources; any value when absent. */
  readonly objectMeta?: Schema;
}

/** Thrown on a schema that is not structural; says where. */
export class OpenApiSchemaError extends Error {
  override readonly name = "OpenApiSchemaError";
}

/** Nesting beyond this is refused: a structural schema is a tree. */
const MAX_SCHEMA_DEPTH = 100;
const MAX_PATTERN_LENGTH = 10_000;

/**
 * The schema of a custom resource from `spec.versions[].schema.openAPIV3Schema` of its definition.
 * Throws {@link OpenApiSchemaError}.
 */
export function schemaFromOpenApi(
  openApi: unknown,
  options: SchemaFromOpenApiOptions = {},
): Schema {
  const schema = new Importer(options).schema(openApi, "", 0);
  return schema.kind === "object" ? withObjectFields(schema, options) : schema;
}

class Importer {
  readonly #options: SchemaFromOpenApiOptions;

  constructor(options: SchemaFromOpenApiOptions) {
    this.#options = options;
  }

  schema(source: unknown, path: string, depth: number): Schema {
    if (!isJsonObject(source)) throw new OpenApiSchemaError(`${path}: a schema is an object`);
    if (depth > MAX_SCHEMA_DEPTH) {
      throw new OpenApiSchemaError(`${path}: nested deeper than ${MAX_SCHEMA_DEPTH}`);
    }
    const extras = this.#extras(source, path, depth);
    if (source["x-kubernetes-int-or-string"] === true) return { kind: "int-or-string", ...extras };
    switch (source["type"]) {
      case undefined:
      case "":
        return isJsonObject(source["properties"]) || Array.isArray(source["required"])
          ? this.#object(source, extras, path, depth)
          : { ...ANY_SCHEMA, ...extras };
      case "object":
        return this.#object(source, extras, path, depth);
      case "array":
        return this.#list(source, extras, path, depth);
      default:
        return { kind: scalarKind(source, path), ...extras };
    }
  }

  #object(source: JsonObject, extras: SchemaExtras, path: string, depth: number): Schema {
    const { properties, additionalProperties: additional } = source;
    const mapType = mapTypeOf(source);
    if (!isJsonObject(properties) && isJsonObject(additional)) {
      const values = this.schema(additional, `${path}.additionalProperties`, depth + 1);
      return { kind: "map", values, mapType, ...extras };
    }
    const required = Array.isArray(source["required"]) ? source["required"].map(String) : [];
    const fields = new Map<string, FieldSchema>();
    for (const [name, value] of Object.entries(isJsonObject(properties) ? properties : {})) {
      const schema = this.schema(value, `${path}.properties[${name}]`, depth + 1);
      fields.set(name, fieldOf(name, schema, required));
    }
    const embeddedResource = source["x-kubernetes-embedded-resource"] === true;
    const object: ObjectSchema = {
      kind: "object",
      typeName: "",
      fields,
      required,
      mapType,
      preserveUnknown:
        source["x-kubernetes-preserve-unknown-fields"] === true || additional === true,
      embeddedResource,
      builtIn: false,
      kinds: [],
      ...extras,
    };
    return embeddedResource ? withObjectFields(object, this.#options) : object;
  }

  #list(source: JsonObject, extras: SchemaExtras, path: string, depth: number): Schema {
    const items = this.schema(source["items"] ?? {}, `${path}.items`, depth + 1);
    const keys = source["x-kubernetes-list-map-keys"];
    const mapKeys = Array.isArray(keys) ? keys.map(String) : [];
    return { kind: "list", items, listType: listTypeOf(source, path), mapKeys, ...extras };
  }

  #extras(source: JsonObject, path: string, depth: number): SchemaExtras {
    const rules = this.#rules(source, path, depth);
    return {
      ...(source["nullable"] === true ? { nullable: true } : {}),
      ...(source["default"] === undefined ? {} : { default: source["default"] }),
      ...(typeof source["description"] === "string" ? { description: source["description"] } : {}),
      ...(Object.keys(rules).length === 0 ? {} : { rules }),
      ...validationsOf(source),
    };
  }

  #rules(source: JsonObject, path: string, depth: number): ValueRules {
    const rules: JsonObject = {};
    for (const [name, type] of RULE_TYPES) {
      const value = source[name];
      if (value === undefined) continue;
      if (typeof value !== type) throw new OpenApiSchemaError(`${path}.${name}: not a ${type}`);
      rules[name] = value;
    }
    if (Array.isArray(source["enum"])) rules["enum"] = source["enum"];
    if (source["pattern"] !== undefined) rules["pattern"] = patternOf(source["pattern"], path);
    // An int-or-string says so a second time in its anyOf.
    const isIntOrString = source["x-kubernetes-int-or-string"] === true;
    for (const name of ["allOf", "anyOf", "oneOf"]) {
      const value = source[name];
      if (!Array.isArray(value) || isIntOrString) continue;
      rules[name] = value.map((part, index) =>
        this.#junctor(part, `${path}.${name}[${index}]`, depth),
      );
    }
    if (source["not"] !== undefined) {
      rules["not"] = this.#junctor(source["not"], `${path}.not`, depth);
    }
    return rules;
  }

  /** A schema inside allOf, anyOf, oneOf or not: it constrains, and says nothing of structure. */
  #junctor(source: unknown, path: string, depth: number): Schema {
    const schema = this.schema(source, path, depth + 1);
    return schema.kind === "object" ? { ...schema, preserveUnknown: true } : schema;
  }
}

const RULE_TYPES: readonly (readonly [keyof ValueRules, "number" | "boolean" | "string"])[] = [
  ["format", "string"],
  ["minimum", "number"],
  ["maximum", "number"],
  ["exclusiveMinimum", "boolean"],
  ["exclusiveMaximum", "boolean"],
  ["multipleOf", "number"],
  ["minLength", "number"],
  ["maxLength", "number"],
  ["minItems", "number"],
  ["maxItems", "number"],
  ["uniqueItems", "boolean"],
  ["minProperties", "number"],
  ["maxProperties", "number"],
];

function fieldOf(name: string, schema: Schema, required: readonly string[]): FieldSchema {
  return {
    name,
    schema,
    required: required.includes(name),
    patch: patchOf(schema),
    ...(schema.default === undefined ? {} : { default: schema.default }),
  };
}

/** Lists of custom resources merge by their map keys where a strategic merge is asked for. */
function patchOf(schema: Schema): PatchStrategy {
  if (schema.kind !== "list" || schema.listType === "atomic") return REPLACE_LISTS;
  const mergeKey = schema.mapKeys[0];
  return { ...REPLACE_LISTS, merge: true, ...(mergeKey === undefined ? {} : { mergeKey }) };
}

function withObjectFields(schema: ObjectSchema, options: SchemaFromOpenApiOptions): ObjectSchema {
  const fields = new Map(schema.fields);
  const add = (name: string, type: Schema): void => {
    fields.set(name, fieldOf(name, type, schema.required));
  };
  add("apiVersion", { kind: "string" });
  add("kind", { kind: "string" });
  add("metadata", options.objectMeta ?? ANY_SCHEMA);
  return { ...schema, fields };
}

function scalarKind(source: JsonObject, path: string): ScalarKind {
  switch (source["type"]) {
    case "string":
    case "boolean":
    case "number":
      return source["type"];
    case "integer":
      return source["format"] === "int32" ? "int32" : "int64";
    default:
      throw new OpenApiSchemaError(`${path}.type: ${JSON.stringify(source["type"])} is no type`);
  }
}

function mapTypeOf(source: JsonObject): MapType {
  return source["x-kubernetes-map-type"] === "atomic" ? "atomic" : "granular";
}

function listTypeOf(source: JsonObject, path: string): ListType {
  const type = source["x-kubernetes-list-type"] ?? "atomic";
  if (type === "atomic" || type === "set" || type === "map") return type;
  throw new OpenApiSchemaError(
    `${path}.x-kubernetes-list-type: ${JSON.stringify(type)} is none of atomic, set, map`,
  );
}

function validationsOf(source: JsonObject): Pick<SchemaExtras, "validations"> {
  const rules = source["x-kubernetes-validations"];
  if (!Array.isArray(rules) || rules.length === 0) return {};
  return { validations: rules as readonly ValidationRule[] };
}

function patternOf(pattern: unknown, path: string): LinearPattern {
  const text = String(pattern);
  try {
    if (text.length <= MAX_PATTERN_LENGTH) return new LinearPattern(text);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new OpenApiSchemaError(`${path}.pattern: ${text} is no pattern`, { cause: error });
  }
  throw new OpenApiSchemaError(`${path}.pattern: longer than ${MAX_PATTERN_LENGTH}`);
}
