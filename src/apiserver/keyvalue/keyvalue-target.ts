import { KEYVALUE_RESOURCE } from "../../registry/index.ts";
import { flagOf } from "../query-options.ts";
import type { ResourceTarget } from "../request-target.ts";

/** What lies below a store: `…/keyvaluestores/STORE/values?key=KEY`. */
export type KeyValuePart = "keys" | "values" | "increment" | "read" | "batch";

/**
 * By part and method the verb that authorization is asked about: always one of the store itself,
 * so that a rule about `keyvaluestores` says all there is to say.
 */
const VERBS: Readonly<Record<KeyValuePart, Readonly<Record<string, string>>>> = {
  keys: { GET: "get" },
  values: { GET: "get", HEAD: "get", PUT: "update", DELETE: "update" },
  increment: { POST: "update" },
  read: { POST: "get" },
  batch: { POST: "update" },
};

/** Whether a path leads into a store, and not only to it. */
export function isInStore({ group, resource, subresource }: ResourceTarget): boolean {
  return (
    group === KEYVALUE_RESOURCE.group &&
    resource === KEYVALUE_RESOURCE.resource &&
    subresource !== ""
  );
}

export function partOf({ subresource, rest }: ResourceTarget): KeyValuePart | undefined {
  return rest.length === 0 && Object.hasOwn(VERBS, subresource)
    ? (subresource as KeyValuePart)
    : undefined;
}

/** Undefined for a method that means nothing there. */
export function keyValueVerb(
  method: string,
  target: ResourceTarget,
  query: URLSearchParams,
): string | undefined {
  const part = partOf(target);
  // What is not there is looked for by reading; the handler answers 404.
  if (part === undefined) return "get";
  const verb = VERBS[part][method];
  return part === "keys" && verb === "get" && flagOf(query, "watch") === true ? "watch" : verb;
}

/** Values are bytes, whatever the client accepts. */
export function isValueRead(target: ResourceTarget, method: string): boolean {
  return isInStore(target) && target.subresource === "values" && method !== "PUT";
}
