import type { JsonObject } from "./json-value.ts";
import type { OpenApiDialect } from "./openapi-schemas.ts";

export interface OpenApiParameter {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean";
  readonly description: string;
  readonly in: "query" | "path";
}

function query(
  name: string,
  type: OpenApiParameter["type"],
  description: string,
): OpenApiParameter {
  return { name, type, description, in: "query" };
}

const PRETTY = query("pretty", "string", "If 'true', the output is indented.");
const DRY_RUN = query("dryRun", "string", "'All' processes the request without persisting it.");
const FIELD_MANAGER = query("fieldManager", "string", "Name of the actor that makes the change.");
const FIELD_VALIDATION = query(
  "fieldValidation",
  "string",
  "What happens to unknown and duplicate fields: Ignore, Warn or Strict.",
);
const FORCE = query("force", "boolean", "Take over fields that other managers own.");
const RESOURCE_VERSION = query("resourceVersion", "string", "How fresh the answer must be.");
const TIMEOUT_SECONDS = query("timeoutSeconds", "integer", "How long the call may last.");

const DELETE_PARAMETERS = [
  DRY_RUN,
  query("gracePeriodSeconds", "integer", "Seconds the object has to end by itself."),
  query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
  query("propagationPolicy", "string", "Orphan, Background or Foreground."),
];

const LIST_PARAMETERS = [
  query("allowWatchBookmarks", "boolean", "Whether the watch may send bookmarks."),
  query("continue", "string", "Token of the next page, from the answer before."),
  query("fieldSelector", "string", "Restricts the answer by fields of the objects."),
  query("labelSelector", "string", "Restricts the answer by labels of the objects."),
  query("limit", "integer", "The most objects one answer holds."),
  RESOURCE_VERSION,
  query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
  query("sendInitialEvents", "boolean", "Whether the watch begins with the state as events."),
  TIMEOUT_SECONDS,
  query("watch", "boolean", "Stream changes instead of listing."),
];

/** Query parameters by `x-kubernetes-action`. */
export const QUERY_PARAMETERS: Readonly<Record<string, readonly OpenApiParameter[]>> = {
  get: [PRETTY],
  list: [PRETTY, ...LIST_PARAMETERS],
  post: [PRETTY, DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
  put: [PRETTY, DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
  patch: [PRETTY, DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE],
  delete: [PRETTY, ...DELETE_PARAMETERS],
  deletecollection: [PRETTY, ...DELETE_PARAMETERS, ...LIST_PARAMETERS],
};

export function pathParameter(name: string): OpenApiParameter {
  const description = name === "namespace" ? "Namespace of the object." : "Name of the object.";
  return { name, type: "string", description, in: "path" };
}

export function renderParameter(parameter: OpenApiParameter, dialect: OpenApiDialect): JsonObject {
  const { name, type, description, in: place } = parameter;
  const required = place === "path" ? { required: true } : {};
  return dialect === "v3"
    ? { name, in: place, description, ...required, schema: { type, uniqueItems: true } }
    : { name, in: place, description, ...required, type, uniqueItems: true };
}
