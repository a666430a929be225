import type { GroupVersionKind } from "./group-version.ts";
import type { JsonObject } from "./json-value.ts";
import type { Schema } from "./schema.ts";

/** A served resource, as far as its OpenAPI description needs to know it. */
export interface OpenApiResource {
  readonly group: string;
  readonly version: string;
  /** Plural. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly subresources: readonly OpenApiSubresource[];
  /** "apps.v1.Deployment"; the list's name is this and "List". */
  readonly typeName: string;
  readonly schema: Schema;
  /** A custom resource has its schema from its definition, and its type in no table. */
  readonly custom?: { readonly openApi: JsonObject };
}

export interface OpenApiSubresource {
  readonly name: string;
  readonly kind: string;
  /** Of the body, where they are not the resource's own. */
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** What the documents are made from. */
export interface OpenApiSource {
  readonly resources: readonly OpenApiResource[];
  /** The schema of a type by name ("apis.meta.v1.DeleteOptions"), of those that are served. */
  readonly types: (typeName: string) => Schema | undefined;
  /** The words about a type, or about one of its fields. */
  readonly describe?: (typeName: string, field?: string) => string | undefined;
  readonly title: string;
  /** Of the product: "v1.36.0+kubun". */
  readonly version: string;
}

export const STATUS_TYPE = "apis.meta.v1.Status";
export const DELETE_OPTIONS_TYPE = "apis.meta.v1.DeleteOptions";
export const PATCH_TYPE = "apis.meta.v1.Patch";

const MACHINERY_PREFIXES = ["apis.", "api.", "runtime.", "util.", "version."];

/** What the type names of custom resources start with: "custom/com.example.v1.CronTab". */
const CUSTOM_PREFIX = "custom/";

/** "apps.v1.Deployment" → "io.k8s.api.apps.v1.Deployment". */
export function openApiName(typeName: string): string {
  if (typeName.startsWith(CUSTOM_PREFIX)) return typeName.slice(CUSTOM_PREFIX.length);
  const isMachinery = MACHINERY_PREFIXES.some((prefix) => typeName.startsWith(prefix));
  return `io.k8s.${isMachinery ? "apimachinery.pkg" : "api"}.${typeName}`;
}

/** The type of a kind, by the convention of the type tables: "autoscaling.v1.Scale". */
export function typeNameOfKind({ group, version, kind }: GroupVersionKind): string {
  return `${group === "" ? "core" : group.split(".")[0]}.${version}.${kind}`;
}
