import type { KubeObject } from "../apimachinery/index.ts";
import type { ApiResource } from "./resources.ts";

/** The path of a collection, an object or a subresource. */
export function resourcePath(
  resource: Pick<ApiResource<KubeObject>, "group" | "version" | "resource" | "namespaced">,
  place: { namespace?: string | undefined; name?: string; subresource?: string } = {},
): string {
  const { group, version } = resource;
  const parts = [group === "" ? `/api/${version}` : `/apis/${group}/${version}`];
  if (resource.namespaced && place.namespace !== undefined && place.namespace !== "") {
    parts.push("namespaces", encodeURIComponent(place.namespace));
  }
  parts.push(resource.resource);
  if (place.name !== undefined) {
    if (resource.namespaced && !place.namespace) {
      throw new TypeError(`${resource.resource} ${place.name}: a namespace is needed`);
    }
    if (place.name === "") throw new TypeError(`${resource.resource}: a name is needed`);
    parts.push(encodeURIComponent(place.name));
  }
  if (place.subresource !== undefined) parts.push(place.subresource);
  return parts.join("/");
}

const QUERY_FIELDS = [
  "labelSelector",
  "fieldSelector",
  "limit",
  "continue",
  "resourceVersion",
  "allowWatchBookmarks",
  "timeoutSeconds",
  "watch",
  "fieldManager",
  "dryRun",
] as const;

/** The options that travel in the query, `?` included; `""` when there are none. */
export function queryOf(options: object): string {
  const query = new URLSearchParams();
  for (const field of QUERY_FIELDS) {
    const value: unknown = Reflect.get(options, field);
    if (typeof value === "string" && value !== "") query.set(field, value);
    else if (typeof value === "number" || value === true) query.set(field, `${value}`);
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
