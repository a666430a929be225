import { isJsonObject, type JsonObject } from "./json-value.ts";
import type { OpenApiDialect } from "./openapi-schemas.ts";
import type { OpenApiResource } from "./openapi-source.ts";

const OBJECT_META = "apis.meta.v1.ObjectMeta";
const LIST_META = "apis.meta.v1.ListMeta";

/** What Swagger 2.0 has no word for, or gives another meaning. */
const NOT_IN_V2 = new Set([
  "nullable",
  "oneOf",
  "anyOf",
  "allOf",
  "not",
  "x-kubernetes-validations",
]);

const WORDS = {
  apiVersion: "Version of the API that the object is written in.",
  kind: "What the object is.",
  metadata: "Name, labels and what else every object carries.",
} as const;

interface CustomSource {
  readonly resource: OpenApiResource;
  readonly openApi: JsonObject;
  readonly dialect: OpenApiDialect;
  /** A reference to a built-in type, which is written if it was not yet. */
  readonly reference: (typeName: string) => JsonObject;
}

/** The schema of a custom resource as its definition has it, with what every object carries. */
export function customSchema({ resource, openApi, dialect, reference }: CustomSource): JsonObject {
  const own = dialect === "v2" ? simplified(openApi) : openApi;
  const properties = isJsonObject(own["properties"]) ? own["properties"] : {};
  return {
    ...own,
    properties: {
      ...properties,
      apiVersion: { type: "string", description: WORDS.apiVersion },
      kind: { type: "string", description: WORDS.kind },
      metadata: described(reference(OBJECT_META), dialect),
    },
    "x-kubernetes-group-version-kind": [kindOf(resource, resource.kind)],
  };
}

/** The schema of a list of them. */
export function customListSchema({ resource, dialect, reference }: CustomSource): JsonObject {
  return {
    description: `Several objects of kind ${resource.kind}.`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string", description: WORDS.apiVersion },
      kind: { type: "string", description: WORDS.kind },
      metadata: described(reference(LIST_META), dialect),
      items: { type: "array", items: reference(resource.typeName) },
    },
    "x-kubernetes-group-version-kind": [kindOf(resource, `${resource.kind}List`)],
  };
}

/** OpenAPI 3.0 ignores what stands beside a reference. */
function described(reference: JsonObject, dialect: OpenApiDialect): JsonObject {
  const description = WORDS.metadata;
  return dialect === "v3" ? { allOf: [reference], description } : { ...reference, description };
}

function kindOf({ group, version }: OpenApiResource, kind: string): JsonObject {
  return { group, version, kind };
}

function simplified(schema: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(schema)) {
    if (NOT_IN_V2.has(name)) continue;
    result[name] = simplifiedField(name, value);
  }
  // A value that may be null, or be of two types, has no type that Swagger knows.
  if (schema["nullable"] === true) delete result["type"];
  return result;
}

function simplifiedField(name: string, value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  if (name === "properties") {
    const fields = Object.entries(value).map(([field, schema]) => [
      field,
      isJsonObject(schema) ? simplified(schema) : schema,
    ]);
    return Object.fromEntries(fields);
  }
  return name === "items" || name === "additionalProperties" ? simplified(value) : value;
}
