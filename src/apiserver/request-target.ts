import type { Attributes } from "./authorizer.ts";
import { isInStore } from "./keyvalue/keyvalue-target.ts";

/** What a path names. */
export type RequestTarget =
  | ResourceTarget
  /** A path outside the resources: /version, /apis/apps/v1, /openapi/v2. */
  | { readonly type: "path"; readonly path: string };

export interface ResourceTarget {
  readonly type: "resource";
  readonly group: string;
  readonly version: string;
  /** "" for cluster-wide kinds and across all namespaces. */
  readonly namespace: string;
  readonly resource: string;
  /** "" for the collection. */
  readonly name: string;
  readonly subresource: string;
  /** What follows the subresource, as in proxy paths. */
  readonly rest: readonly string[];
  /** A deprecated path that asks for a watch by itself: /api/v1/watch/pods. */
  readonly watchPath: boolean;
}

/** Subresources of namespaces; anything else behind a namespace's name is a resource in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

/**
 * Reads a path once, for authorization and for the handlers alike, so that the two can never see
 * different things. Undefined for a path that a proxy in front might read in another way: empty,
 * "." or ".." segments, encoded slashes, broken encoding.
 */
export function parseTarget(pathname: string): RequestTarget | undefined {
  const segments = splitPath(pathname);
  if (segments === undefined) return undefined;
  const path = `/${segments.join("/")}`;
  const [prefix] = segments;
  if (prefix === "api" && segments.length > 2) {
    return parseResource("", segments[1] ?? "", segments.slice(2));
  }
  if (prefix === "apis" && segments.length > 3) {
    return parseResource(segments[1] ?? "", segments[2] ?? "", segments.slice(3));
  }
  return { type: "path", path };
}

/** The path of a URL, without building a URL object: this runs for every request. */
export function pathnameOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const query = url.indexOf("?", start);
  const hash = url.indexOf("#", start);
  const end = Math.min(query < 0 ? url.length : query, hash < 0 ? url.length : hash);
  return url.slice(start, end);
}

/** The query of a URL; shared and empty when there is none. */
export function queryOf(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return start < 0 ? NO_QUERY : new URLSearchParams(url.slice(start + 1));
}

const NO_QUERY = new URLSearchParams();

/** What authorization is asked about a target. */
export function attributesOf(
  target: RequestTarget,
  verb: string,
  query: URLSearchParams = NO_QUERY,
): Attributes {
  if (target.type === "path") return { type: "path", verb, path: target.path };
  const { rest: _rest, watchPath: _watchPath, ...parts } = target;
  // What is in a key-value store is the store's own: rules name no subresources of it.
  const attributes = isInStore(target) ? { ...parts, subresource: "" } : parts;
  const fieldSelector = OF_COLLECTIONS.has(verb) ? query.get("fieldSelector") : null;
  if (fieldSelector === null) return { ...attributes, verb };
  // Who selects one name asks for one object, so that rules about names hold for watches too.
  const name = attributes.name || nameSelectedBy(fieldSelector);
  return { ...attributes, verb, name, fieldSelector };
}

const OF_COLLECTIONS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

function nameSelectedBy(fieldSelector: string): string {
  for (const term of fieldSelector.split(",")) {
    const [, name] = /^metadata\.name==?([^=\\]+)$/.exec(term) ?? [];
    if (name !== undefined) return name;
  }
  return "";
}

function splitPath(pathname: string): string[] | undefined {
  const trimmed = pathname.endsWith("/") ? pathname.slice(1, -1) : pathname.slice(1);
  if (trimmed === "") return [];
  const segments = trimmed.split("/");
  if (pathname.includes("%")) {
    for (const [index, segment] of segments.entries()) {
      const decoded = decodeSegment(segment);
      if (decoded === undefined) return undefined;
      segments[index] = decoded;
    }
  }
  const unclear = segments.some(
    (segment) => segment === "" || segment === "." || segment === ".." || segment.includes("/"),
  );
  return unclear ? undefined : segments;
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Malformed percent-encoding names nothing: the caller answers 404.
    return undefined;
  }
}

function parseResource(group: string, version: string, given: string[]): ResourceTarget {
  const watchPath = given[0] === "watch" && given.length > 1;
  const parts = watchPath ? given.slice(1) : given;
  const base = { type: "resource", group, version, watchPath } as const;
  const [first = "", second = "", third = ""] = parts;
  const core = group === "" && first === "namespaces";
  if (first !== "namespaces" || parts.length < 3) {
    const [, , subresource = "", ...rest] = parts;
    // A namespace is its own scope for authorization.
    const namespace = core ? second : "";
    return { ...base, namespace, resource: first, name: second, subresource, rest };
  }
  if (core && parts.length === 3 && NAMESPACE_SUBRESOURCES.has(third)) {
    const names = { namespace: second, resource: first, name: second };
    return { ...base, ...names, subresource: third, rest: [] };
  }
  const [, , resource = "", name = "", subresource = "", ...rest] = parts;
  return { ...base, namespace: second, resource, name, subresource, rest };
}
