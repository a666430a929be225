import type { LocalRegistry } from "../local-registry.ts";
import { methodNotAllowed } from "./blob-routes.ts";
import { DistributionError } from "./distribution-error.ts";

const MAX_PAGE = 10_000;

/** GET /v2/NAME/tags/list?n=&last= */
export function listTags(registry: LocalRegistry, request: Request, repository: string): Response {
  const tags = registry.repositories.tags(repository);
  if (tags === undefined) {
    throw new DistributionError(404, "NAME_UNKNOWN", `there is no repository ${repository}`);
  }
  const page = pageOf([...tags.keys()].sort(), request);
  const headers = page.next === undefined ? {} : { Link: page.next };
  return Response.json({ name: repository, tags: page.items }, { headers });
}

/** GET /v2/_catalog?n=&last= */
export function listRepositories(registry: LocalRegistry, request: Request): Response {
  const page = pageOf(registry.repositories.names(), request);
  const headers = page.next === undefined ? {} : { Link: page.next };
  return Response.json({ repositories: page.items }, { headers });
}

function pageOf(
  sorted: readonly string[],
  request: Request,
): { items: readonly string[]; next?: string } {
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed(request);
  const url = new URL(request.url);
  const last = url.searchParams.get("last");
  const asked = url.searchParams.get("n");
  const limit = asked === null || !/^\d{1,9}$/.test(asked) ? MAX_PAGE : Number(asked);
  const after = last === null ? sorted : sorted.filter((item) => item > last);
  const items = after.slice(0, Math.min(limit, MAX_PAGE));
  const final = items.at(-1);
  if (items.length === after.length || final === undefined) return { items };
  const query = new URLSearchParams({ n: String(limit), last: final });
  return { items, next: `<${url.pathname}?${query}>; rel="next"` };
}
