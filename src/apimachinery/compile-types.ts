import { assert } from "../lib/index.ts";
import type {
  FieldSchema,
  ListType,
  MapType,
  ObjectSchema,
  PatchStrategy,
  Schema,
  ScalarKind,
} from "./schema.ts";

/** Options of a field, in the notation of src/api/&lt;group&gt;/&lt;version&gt;/types.json. */
export interface FieldOptions {
  readonly required?: boolean;
  readonly default?: unknown;
  readonly "list-type"?: string;
  readonly "list-map-keys"?: readonly string[];
  readonly "map-type"?: string;
  readonly "patch-strategy"?: string;
  readonly "patch-merge-key"?: string;
}

/** A type ("string", "[core.v1.Container]", "map<string>", "core.v1.PodSpec"), or with options. */
export type FieldNotation = string | readonly [type: string, options: FieldOptions];

export interface TypeNotation {
  readonly fields?: Readonly<Record<string, FieldNotation>>;
  /** The scalar this name stands for. */
  readonly is?: string;
  /** "apps/v1 Deployment": the kinds whose body this type is. */
  readonly gvk?: readonly string[];
  readonly "map-type"?: string;
}

export type TypeTable = Readonly<Record<string, TypeNotation>>;

const SCALARS: ReadonlyMap<string, ScalarKind> = new Map([
  ["string", "string"],
  ["string:byte", "byte"],
  ["string:date-time", "time"],
  ["boolean", "boolean"],
  ["integer", "int64"],
  ["integer:int32", "int32"],
  ["integer:int64", "int64"],
  ["number", "number"],
  ["number:double", "number"],
]);

/** Names whose meaning is more than their notation says. */
const NAMED_SCALARS: ReadonlyMap<string, ScalarKind> = new Map([
  ["api.resource.Quantity", "quantity"],
  ["apis.meta.v1.MicroTime", "micro-time"],
]);

const RAW_EXTENSION = "runtime.RawExtension";

/**
 * The schemas of a table of types, each compiled when first asked for and then kept. Types may
 * refer to each other in circles. Asking for a name that is not in the table is a bug.
 */
export function compileTypes(table: TypeTable): (name: string) => Schema {
  const compiled = new Map<string, Schema>();

  function named(name: string): Schema {
    const known = compiled.get(name);
    if (known !== undefined) return known;
    const notation = table[name];
    assert(notation !== undefined, `type ${name} is not in the table`);
    return notation.fields === undefined ? alias(name, notation) : structure(name, notation);
  }

  function alias(name: string, notation: TypeNotation): Schema {
    const kind = NAMED_SCALARS.get(name);
    const plain = name === RAW_EXTENSION ? "any" : (notation.is ?? "any");
    const schema: Schema = kind === undefined ? resolve(plain, {}) : { kind };
    compiled.set(name, schema);
    return schema;
  }

  function structure(name: string, notation: TypeNotation): Schema {
    const fields = new Map<string, FieldSchema>();
    const schema: ObjectSchema = {
      kind: "object",
      typeName: name,
      fields,
      required: requiredOf(notation),
      mapType: mapTypeOf(notation["map-type"]) ?? "granular",
      preserveUnknown: false,
      embeddedResource: false,
      builtIn: true,
      kinds: notation.gvk ?? [],
    };
    // Registered before its fields, so that a type that contains itself finds itself.
    compiled.set(name, schema);
    for (const [field, value] of Object.entries(notation.fields ?? {})) {
      fields.set(field, fieldOf(field, value));
    }
    return schema;
  }

  function fieldOf(name: string, notation: FieldNotation): FieldSchema {
    const [type, options] = typeof notation === "string" ? [notation, {}] : notation;
    const mapType = mapTypeOf(options["map-type"]);
    return {
      name,
      schema: resolve(type, options),
      required: options.required === true,
      patch: patchStrategyOf(options),
      ...(options.default === undefined ? {} : { default: options.default }),
      ...(mapType === undefined ? {} : { mapType }),
    };
  }

  function resolve(type: string, options: FieldOptions): Schema {
    if (type.startsWith("[")) {
      const items = resolve(type.slice(1, -1), {});
      const mapKeys = options["list-map-keys"] ?? [];
      return { kind: "list", items, listType: listTypeOf(options["list-type"]), mapKeys };
    }
    // "map<string:byte>" too: the part in brackets is a type of its own.
    if (type.startsWith("map<")) {
      const mapType = mapTypeOf(options["map-type"]) ?? "granular";
      return { kind: "map", values: resolve(type.slice(4, -1), {}), mapType };
    }
    if (type === "any" || type === "object") return { kind: "any", objectOnly: type === "object" };
    if (type === "string:int-or-string") return { kind: "int-or-string" };
    const kind = SCALARS.get(type);
    return kind === undefined ? named(type) : { kind };
  }

  return named;
}

function requiredOf(notation: TypeNotation): string[] {
  return Object.entries(notation.fields ?? {})
    .filter(([, value]) => typeof value !== "string" && value[1].required === true)
    .map(([name]) => name);
}

function mapTypeOf(text: string | undefined): MapType | undefined {
  assert(text === undefined || text === "atomic" || text === "granular", `map type ${text}`);
  return text;
}

function listTypeOf(text: string | undefined): ListType {
  if (text === undefined) return "atomic";
  assert(text === "atomic" || text === "set" || text === "map", `list type ${text}`);
  return text;
}

function patchStrategyOf(options: FieldOptions): PatchStrategy {
  const strategies = (options["patch-strategy"] ?? "").split(",");
  const mergeKey = options["patch-merge-key"];
  return {
    merge: strategies.includes("merge"),
    retainKeys: strategies.includes("retainKeys"),
    replace: strategies.includes("replace"),
    ...(mergeKey === undefined ? {} : { mergeKey }),
  };
}
