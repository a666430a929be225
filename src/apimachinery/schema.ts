import type { LinearPattern } from "./linear-pattern.ts";

/**
 * The structural schema that every kind, built in or custom, compiles to. Nodes are plain frozen
 * data with a `kind` to switch on, shared and possibly cyclic (a type may contain itself).
 */
export type Schema =
  | ObjectSchema
  | MapSchema
  | ListSchema
  | ScalarSchema
  | IntOrStringSchema
  | AnySchema;

/** What only schemas of custom resources carry. */
export interface SchemaExtras {
  /** Null is a value of its own here, not an absent field. */
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly description?: string;
  readonly rules?: ValueRules;
  /** In CEL; `cel/schema-validations.ts` runs them. */
  readonly validations?: readonly ValidationRule[];
}

/** A rule in CEL, as x-kubernetes-validations has it. */
export interface ValidationRule {
  /** Must be true; `self` is the value, `oldSelf` the one before. */
  readonly rule: string;
  readonly message?: string;
  /** Gives the message. */
  readonly messageExpression?: string;
  readonly reason?: string;
  /** Which field below the value the error names: ".spec.x". */
  readonly fieldPath?: string;
  /** `oldSelf` is an optional, and the rule holds for creations too. */
  readonly optionalOldSelf?: boolean;
}

/** OpenAPI's validation keywords, as far as structural schemas allow them. */
export interface ValueRules {
  readonly enum?: readonly unknown[];
  readonly pattern?: LinearPattern;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
}

/** How two values of a map or object merge under server-side apply. */
export type MapType = "granular" | "atomic";
/** How two lists merge under server-side apply. */
export type ListType = "atomic" | "set" | "map";

export interface ObjectSchema extends SchemaExtras {
  readonly kind: "object";
  /** "core.v1.PodSpec"; empty for an anonymous object of a custom resource. */
  readonly typeName: string;
  readonly fields: ReadonlyMap<string, FieldSchema>;
  readonly required: readonly string[];
  readonly mapType: MapType;
  /** Unknown fields stay as they are instead of being dropped. */
  readonly preserveUnknown: boolean;
  /** Holds a whole object: apiVersion, kind and metadata are known fields. */
  readonly embeddedResource: boolean;
  /** Decodes like Go's structs: null is absent, a wrong type is a bad request at once. */
  readonly builtIn: boolean;
  /** "apps/v1 Deployment": the kinds this type is the body of. */
  readonly kinds: readonly string[];
}

export interface FieldSchema {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
  readonly default?: unknown;
  /** Overrides the map type of the field's own schema. */
  readonly mapType?: MapType;
  readonly patch: PatchStrategy;
}

/** How strategic merge patch treats a field. */
export interface PatchStrategy {
  /** Lists merge item by item instead of being replaced. */
  readonly merge: boolean;
  /** The field by which items of a merged list are the same; absent for lists of scalars. */
  readonly mergeKey?: string;
  /** A patch may name the only keys to keep ($retainKeys). */
  readonly retainKeys: boolean;
  /** The value is replaced as a whole, even when it is an object. */
  readonly replace: boolean;
}

export interface MapSchema extends SchemaExtras {
  readonly kind: "map";
  readonly values: Schema;
  readonly mapType: MapType;
}

export interface ListSchema extends SchemaExtras {
  readonly kind: "list";
  readonly items: Schema;
  readonly listType: ListType;
  /** Fields that together identify an item of a "map" list. */
  readonly mapKeys: readonly string[];
}

/**
 * - "byte" is a string in base64, "time" and "micro-time" are RFC 3339 in UTC
 * - "quantity" is a string or number that becomes its canonical text ("1000m" → "1")
 */
export type ScalarKind =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "number"
  | "byte"
  | "time"
  | "micro-time"
  | "quantity";

export interface ScalarSchema extends SchemaExtras {
  readonly kind: ScalarKind;
}

export interface IntOrStringSchema extends SchemaExtras {
  readonly kind: "int-or-string";
}

/** Any JSON value, kept as it is. */
export interface AnySchema extends SchemaExtras {
  readonly kind: "any";
  /** Whether only objects are meant (RawExtension, FieldsV1). */
  readonly objectOnly: boolean;
}

export const REPLACE_LISTS: PatchStrategy = { merge: false, retainKeys: false, replace: false };

/** The schema of any object whose kind is not known. */
export const ANY_SCHEMA: AnySchema = { kind: "any", objectOnly: false };
