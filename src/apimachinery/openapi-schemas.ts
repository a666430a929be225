import { parseApiVersion } from "./group-version.ts";
import type { JsonObject } from "./json-value.ts";
import { customListSchema, customSchema } from "./openapi-custom.ts";
import { openApiName, type OpenApiSource, PATCH_TYPE } from "./openapi-source.ts";
import type { FieldSchema, ListSchema, ObjectSchema, Schema } from "./schema.ts";

/** Swagger 2.0 keeps schemas under "definitions", OpenAPI 3 under "components". */
export type OpenApiDialect = "v2" | "v3";

const REF_PREFIX: Readonly<Record<OpenApiDialect, string>> = {
  v2: "#/definitions/",
  v3: "#/components/schemas/",
};

const QUANTITY = "api.resource.Quantity";
const TIME = "apis.meta.v1.Time";
const MICRO_TIME = "apis.meta.v1.MicroTime";
const INT_OR_STRING = "util.intstr.IntOrString";

/** Types that are more than a struct, in both dialects. */
const WELL_KNOWN: ReadonlyMap<string, Readonly<Record<OpenApiDialect, JsonObject>>> = new Map([
  [QUANTITY, inBoth({ type: "string" }, { oneOf: [{ type: "string" }, { type: "number" }] })],
  [TIME, inBoth({ type: "string", format: "date-time" })],
  [MICRO_TIME, inBoth({ type: "string", format: "date-time" })],
  [
    INT_OR_STRING,
    inBoth(
      { type: "string", format: "int-or-string" },
      { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
    ),
  ],
  [PATCH_TYPE, inBoth({ type: "object" })],
]);

function inBoth(v2: JsonObject, v3: JsonObject = v2): Record<OpenApiDialect, JsonObject> {
  return { v2, v3 };
}

/** Collects every type that is referred to, each written once. */
export class OpenApiSchemas {
  readonly #source: OpenApiSource;
  readonly #dialect: OpenApiDialect;
  readonly #written = new Map<string, JsonObject>();

  constructor(source: OpenApiSource, dialect: OpenApiDialect) {
    this.#source = source;
    this.#dialect = dialect;
  }

  /** A reference to a type, which is written if it was not yet. */
  reference(typeName: string): JsonObject {
    this.#write(typeName);
    return { $ref: REF_PREFIX[this.#dialect] + openApiName(typeName) };
  }

  /** All types written so far, by their full names, in alphabetical order. */
  all(): JsonObject {
    return Object.fromEntries([...this.#written].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #write(typeName: string): void {
    const name = openApiName(typeName);
    if (this.#written.has(name)) return;
    const description = this.#describe(typeName);
    const known = WELL_KNOWN.get(typeName)?.[this.#dialect];
    if (known !== undefined) {
      this.#written.set(name, { ...description, ...known });
      return;
    }
    const custom = this.#custom(typeName);
    const body: JsonObject = custom === undefined ? { ...description, type: "object" } : {};
    this.#written.set(name, body);
    if (custom !== undefined) {
      Object.assign(body, custom());
      return;
    }
    const schema = this.#source.types(typeName);
    if (schema?.kind === "object") this.#writeObject(schema, body);
  }

  /** Undefined for types that are built in. What it gives may refer to itself: it runs last. */
  #custom(typeName: string): (() => JsonObject) | undefined {
    for (const resource of this.#source.resources) {
      const openApi = resource.custom?.openApi;
      if (openApi === undefined) continue;
      const reference = (name: string): JsonObject => this.reference(name);
      const source = { resource, openApi, dialect: this.#dialect, reference };
      if (typeName === resource.typeName) return () => customSchema(source);
      if (typeName === `${resource.typeName}List`) return () => customListSchema(source);
    }
    return undefined;
  }

  #writeObject(schema: ObjectSchema, body: JsonObject): void {
    const properties: JsonObject = {};
    for (const field of schema.fields.values()) {
      properties[field.name] = this.#field(schema.typeName, field);
    }
    if (schema.fields.size > 0) body["properties"] = properties;
    if (schema.required.length > 0) body["required"] = [...schema.required];
    if (schema.kinds.length > 0) {
      body["x-kubernetes-group-version-kind"] = schema.kinds.map(groupVersionKindOf);
    }
    if (schema.mapType === "atomic") body["x-kubernetes-map-type"] = "atomic";
    if (schema.preserveUnknown) body["x-kubernetes-preserve-unknown-fields"] = true;
  }

  #field(typeName: string, field: FieldSchema): JsonObject {
    const property = this.#inline(field.schema);
    const extra: JsonObject = this.#describe(typeName, field.name);
    if (field.default !== undefined) extra["default"] = field.default;
    const { merge, mergeKey, retainKeys, replace } = field.patch;
    if (field.mapType !== undefined) extra["x-kubernetes-map-type"] = field.mapType;
    if (mergeKey !== undefined) extra["x-kubernetes-patch-merge-key"] = mergeKey;
    const strategies = [merge && "merge", retainKeys && "retainKeys", replace && "replace"];
    const strategy = strategies.filter((name) => name !== false).join(",");
    if (strategy !== "") extra["x-kubernetes-patch-strategy"] = strategy;
    if (Object.keys(extra).length === 0) return property;
    // OpenAPI 3.0 ignores what stands beside a reference.
    const isReference = this.#dialect === "v3" && property["$ref"] !== undefined;
    return isReference ? { allOf: [property], ...extra } : { ...property, ...extra };
  }

  #inline(schema: Schema): JsonObject {
    switch (schema.kind) {
      case "object":
        if (schema.typeName !== "") return this.reference(schema.typeName);
        return this.#anonymous(schema);
      case "map":
        return { type: "object", additionalProperties: this.#inline(schema.values) };
      case "list":
        return this.#list(schema);
      case "quantity":
        return this.reference(QUANTITY);
      case "time":
        return this.reference(TIME);
      case "micro-time":
        return this.reference(MICRO_TIME);
      case "int-or-string":
        return this.reference(INT_OR_STRING);
      case "any":
        return schema.objectOnly ? { type: "object" } : {};
      case "byte":
        return { type: "string", format: "byte" };
      case "int32":
      case "int64":
        return { type: "integer", format: schema.kind };
      case "number":
        return { type: "number", format: "double" };
      case "string":
      case "boolean":
        return { type: schema.kind };
    }
  }

  #anonymous(schema: ObjectSchema): JsonObject {
    const body: JsonObject = { type: "object" };
    this.#writeObject(schema, body);
    return body;
  }

  #list(schema: ListSchema): JsonObject {
    return {
      type: "array",
      items: this.#inline(schema.items),
      "x-kubernetes-list-type": schema.listType,
      ...(schema.mapKeys.length === 0 ? {} : { "x-kubernetes-list-map-keys": schema.mapKeys }),
    };
  }

  #describe(typeName: string, field?: string): JsonObject {
    const description = this.#source.describe?.(typeName, field);
    return description === undefined ? {} : { description };
  }
}

/** The extension's form of "apps/v1 Deployment". */
function groupVersionKindOf(text: string): JsonObject {
  const [apiVersion = "", kind = ""] = text.split(" ");
  const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: apiVersion };
  return { group, kind, version };
}
