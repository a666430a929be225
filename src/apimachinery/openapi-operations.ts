import type { GroupVersionKind } from "./group-version.ts";
import {
  DELETE_OPTIONS_TYPE,
  type OpenApiResource,
  type OpenApiSubresource,
  PATCH_TYPE,
  STATUS_TYPE,
  typeNameOfKind,
} from "./openapi-source.ts";

export type HttpMethod = "get" | "put" | "post" | "delete" | "patch";

/** One operation of a path, before it is written in a dialect. */
export interface OpenApiOperation {
  readonly method: HttpMethod;
  /** `x-kubernetes-action`: tells list from get and deletecollection from delete. */
  readonly action: string;
  readonly operationId: string;
  readonly description: string;
  readonly kind: GroupVersionKind;
  readonly bodyType?: string;
  /** Type of each answer by status code. */
  readonly answers: readonly (readonly [code: string, typeName: string])[];
}

export interface OpenApiPath {
  readonly path: string;
  /** Names of the path's parameters: "namespace", "name". */
  readonly parameters: readonly string[];
  readonly operations: readonly OpenApiOperation[];
}

/** Verb of a resource → how it shows. The keys stand in the order operations are written. */
const COLLECTION_VERBS = ["list", "create", "deletecollection"] as const;
const ITEM_VERBS = ["get", "update", "patch", "delete"] as const;
type Verb = (typeof COLLECTION_VERBS)[number] | (typeof ITEM_VERBS)[number];

interface VerbForm {
  readonly method: HttpMethod;
  readonly action: string;
  /** First word of the operation's id. */
  readonly word: string;
}

const VERB_FORMS: Readonly<Record<Verb, VerbForm>> = {
  list: { method: "get", action: "list", word: "list" },
  create: { method: "post", action: "post", word: "create" },
  deletecollection: { method: "delete", action: "deletecollection", word: "delete" },
  get: { method: "get", action: "get", word: "read" },
  update: { method: "put", action: "put", word: "replace" },
  patch: { method: "patch", action: "patch", word: "patch" },
  delete: { method: "delete", action: "delete", word: "delete" },
};

/** Every path of a resource: its collections, its objects, and their subresources. */
export function pathsOf(resource: OpenApiResource): OpenApiPath[] {
  const { group, version, namespaced } = resource;
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const inNamespace = namespaced ? "/namespaces/{namespace}" : "";
  const collection = `${root}${inNamespace}/${resource.resource}`;
  const above = namespaced ? ["namespace"] : [];
  const paths: OpenApiPath[] = [
    { path: collection, parameters: above, operations: pick(resource, COLLECTION_VERBS) },
    {
      path: `${collection}/{name}`,
      parameters: ["name", ...above],
      operations: pick(resource, ITEM_VERBS),
    },
  ];
  if (namespaced && resource.verbs.includes("list")) {
    const everywhere = { ...operationOf(resource, "list"), operationId: listAllId(resource) };
    paths.push({
      path: `${root}/${resource.resource}`,
      parameters: [],
      operations: [everywhere],
    });
  }
  for (const subresource of resource.subresources) {
    paths.push({
      path: `${collection}/{name}/${subresource.name}`,
      parameters: ["name", ...above],
      operations: subresourceOperations(resource, subresource),
    });
  }
  return paths.filter((path) => path.operations.length > 0);
}

function pick(resource: OpenApiResource, verbs: readonly Verb[]): OpenApiOperation[] {
  return verbs
    .filter((verb) => resource.verbs.includes(verb))
    .map((verb) => operationOf(resource, verb));
}

function operationOf(resource: OpenApiResource, verb: Verb): OpenApiOperation {
  const form = VERB_FORMS[verb];
  const scope = resource.namespaced ? "Namespaced" : "";
  const collection = verb === "deletecollection" ? "Collection" : "";
  const body = bodyOf(verb, resource.typeName);
  return {
    method: form.method,
    action: form.action,
    operationId: `${form.word}${idPrefix(resource)}${collection}${scope}${resource.kind}`,
    description: describe(verb, resource.kind),
    kind: { group: resource.group, version: resource.version, kind: resource.kind },
    ...(body === undefined ? {} : { bodyType: body }),
    answers: answersOf(verb, resource.typeName),
  };
}

function subresourceOperations(
  resource: OpenApiResource,
  subresource: OpenApiSubresource,
): OpenApiOperation[] {
  const { group = resource.group, version = resource.version } = subresource;
  const kind: GroupVersionKind = { group, version, kind: subresource.kind };
  const isOwnKind = subresource.kind === resource.kind;
  const typeName = isOwnKind ? resource.typeName : typeNameOfKind(kind);
  const suffix = subresource.name.charAt(0).toUpperCase() + subresource.name.slice(1);
  const verbs: readonly Verb[] = [...COLLECTION_VERBS, ...ITEM_VERBS];
  return verbs
    .filter((verb) => subresource.verbs.includes(verb))
    .map((verb) => {
      const own = operationOf({ ...resource, typeName }, verb);
      const description = `${describe(verb, resource.kind)}: ${subresource.name}`;
      return { ...own, kind, operationId: `${own.operationId}${suffix}`, description };
    });
}

function bodyOf(verb: Verb, typeName: string): string | undefined {
  switch (verb) {
    case "create":
    case "update":
      return typeName;
    case "patch":
      return PATCH_TYPE;
    case "delete":
    case "deletecollection":
      return DELETE_OPTIONS_TYPE;
    case "get":
    case "list":
      return undefined;
  }
}

function answersOf(verb: Verb, typeName: string): [string, string][] {
  switch (verb) {
    case "list":
      return [["200", `${typeName}List`]];
    case "get":
      return [["200", typeName]];
    case "create":
      return [
        ["200", typeName],
        ["201", typeName],
        ["202", typeName],
      ];
    case "update":
    case "patch":
      return [
        ["200", typeName],
        ["201", typeName],
      ];
    case "delete":
      return [
        ["200", STATUS_TYPE],
        ["202", STATUS_TYPE],
      ];
    case "deletecollection":
      return [["200", STATUS_TYPE]];
  }
}

function describe(verb: Verb, kind: string): string {
  switch (verb) {
    case "list":
      return `Lists or watches objects of kind ${kind}.`;
    case "create":
      return `Creates one ${kind}.`;
    case "deletecollection":
      return `Deletes many objects of kind ${kind}.`;
    case "get":
      return `Reads one ${kind}.`;
    case "update":
      return `Replaces one ${kind}.`;
    case "patch":
      return `Changes parts of one ${kind}.`;
    case "delete":
      return `Deletes one ${kind}.`;
  }
}

function listAllId(resource: OpenApiResource): string {
  return `list${idPrefix(resource)}${resource.kind}ForAllNamespaces`;
}

/** "rbac.authorization.k8s.io", "v1" → "RbacAuthorizationV1". */
function idPrefix({ group, version }: OpenApiResource): string {
  const words = group === "" ? ["core"] : group.replace(/\.k8s\.io$/, "").split(".");
  return [...words, version].map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
