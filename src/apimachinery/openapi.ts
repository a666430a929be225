import type { JsonObject } from "./json-value.ts";
import { type OpenApiOperation, pathsOf } from "./openapi-operations.ts";
import { pathParameter, QUERY_PARAMETERS, renderParameter } from "./openapi-parameters.ts";
import { type OpenApiDialect, OpenApiSchemas } from "./openapi-schemas.ts";
import { type OpenApiResource, type OpenApiSource, PATCH_TYPE } from "./openapi-source.ts";

/** Media types of request bodies and answers. */
const OBJECT_MEDIA_TYPES = ["application/json", "application/yaml"] as const;

const PATCH_MEDIA_TYPES = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
] as const;

/**
 * The OpenAPI 3.0 document of one group version, as `/openapi/v3/apis/apps/v1` serves it: the
 * source holds the resources of that group version only. Costs milliseconds: keep the result.
 */
export function buildOpenApiV3(source: OpenApiSource): JsonObject {
  const schemas = new OpenApiSchemas(source, "v3");
  const paths = renderPaths(source, schemas, "v3");
  for (const resource of source.resources) schemas.reference(resource.typeName);
  return {
    openapi: "3.0.0",
    info: { title: source.title, version: source.version },
    paths,
    components: { schemas: schemas.all() },
  };
}

/** The Swagger 2.0 document of all resources, as `/openapi/v2` serves it. Keep the result. */
export function buildOpenApiV2(source: OpenApiSource): JsonObject {
  const schemas = new OpenApiSchemas(source, "v2");
  const paths = renderPaths(source, schemas, "v2");
  for (const resource of source.resources) schemas.reference(resource.typeName);
  return {
    swagger: "2.0",
    info: { title: source.title, version: source.version },
    paths,
    definitions: schemas.all(),
  };
}

function renderPaths(
  source: OpenApiSource,
  schemas: OpenApiSchemas,
  dialect: OpenApiDialect,
): JsonObject {
  const paths: JsonObject = {};
  for (const resource of source.resources) {
    for (const { path, parameters, operations } of pathsOf(resource)) {
      const item: JsonObject = {};
      for (const operation of operations) {
        item[operation.method] =
          dialect === "v3"
            ? operationV3(operation, schemas, resource)
            : operationV2(operation, schemas, resource);
      }
      if (parameters.length > 0) {
        item["parameters"] = parameters.map((name) =>
          renderParameter(pathParameter(name), dialect),
        );
      }
      paths[path] = item;
    }
  }
  return paths;
}

function tagOf({ group, version }: OpenApiResource): string {
  const name = group === "" ? "core" : group.replace(/\.k8s\.io$/, "").replaceAll(".", "_");
  return `${name}_${version}`;
}

function operationV3(
  operation: OpenApiOperation,
  schemas: OpenApiSchemas,
  resource: OpenApiResource,
): JsonObject {
  const responses = operation.answers.map(([code, typeName]) => [
    code,
    { description: "OK", content: contentOf(OBJECT_MEDIA_TYPES, schemas.reference(typeName)) },
  ]);
  const { bodyType } = operation;
  const body = bodyType !== undefined && {
    content: contentOf(requestMediaTypes(bodyType, resource), schemas.reference(bodyType)),
    ...(operation.method === "delete" ? {} : { required: true }),
  };
  return {
    ...headOf(operation, tagOf(resource)),
    parameters: queryOf(operation, "v3"),
    ...(body === false ? {} : { requestBody: body }),
    responses: Object.fromEntries(responses),
    ...extensionsOf(operation),
  };
}

function operationV2(
  operation: OpenApiOperation,
  schemas: OpenApiSchemas,
  resource: OpenApiResource,
): JsonObject {
  const responses = operation.answers.map(([code, typeName]) => [
    code,
    { description: "OK", schema: schemas.reference(typeName) },
  ]);
  const { bodyType } = operation;
  const parameters = queryOf(operation, "v2");
  if (bodyType !== undefined) {
    const required = operation.method !== "delete";
    parameters.unshift({ name: "body", in: "body", required, schema: schemas.reference(bodyType) });
  }
  return {
    ...headOf(operation, tagOf(resource)),
    consumes: bodyType === undefined ? ["*/*"] : [...requestMediaTypes(bodyType, resource)],
    produces: [...OBJECT_MEDIA_TYPES],
    parameters,
    responses: Object.fromEntries(responses),
    schemes: ["https"],
    ...extensionsOf(operation),
  };
}

function headOf(operation: OpenApiOperation, tag: string): JsonObject {
  const { operationId, description } = operation;
  return { tags: [tag], description, operationId };
}

function extensionsOf({ action, kind }: OpenApiOperation): JsonObject {
  return {
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": {
      group: kind.group,
      kind: kind.kind,
      version: kind.version,
    },
  };
}

function queryOf(operation: OpenApiOperation, dialect: OpenApiDialect): JsonObject[] {
  const parameters = QUERY_PARAMETERS[operation.action] ?? [];
  return parameters.map((parameter) => renderParameter(parameter, dialect));
}

/** kubectl reads here whether it may send strategic merge patches: custom resources take none. */
function requestMediaTypes(bodyType: string, { custom }: OpenApiResource): readonly string[] {
  if (bodyType !== PATCH_TYPE) return OBJECT_MEDIA_TYPES;
  return custom === undefined
    ? PATCH_MEDIA_TYPES
    : PATCH_MEDIA_TYPES.filter((type) => !type.includes("strategic"));
}

function contentOf(mediaTypes: readonly string[], schema: JsonObject): JsonObject {
  return Object.fromEntries(mediaTypes.map((mediaType) => [mediaType, { schema }]));
}
