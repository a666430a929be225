import { matchRule, type Backend } from "./ingress-rules.ts";
import type { RoutingTable, ServicePort } from "./routing-table.ts";
import { servicePortKey } from "./routing-table.ts";

/** What the table says about one request. */
export type RequestRoute =
  | { readonly type: "port"; readonly port: ServicePort }
  | { readonly type: "no-rule" }
  | { readonly type: "no-service"; readonly backend: Backend };

/** Finds the Service port for a request. `host` as sent, `target` in origin form. */
export function routeRequest(table: RoutingTable, host: string, target: string): RequestRoute {
  const rule = matchRule(table.ingress, normalHost(host), pathOf(target));
  if (rule === undefined) return { type: "no-rule" };
  const port = resolveBackend(table, rule.backend);
  return port === undefined
    ? { type: "no-service", backend: rule.backend }
    : { type: "port", port };
}

function resolveBackend(table: RoutingTable, backend: Backend): ServicePort | undefined {
  const { namespace, service, port } = backend;
  if (typeof port === "number") return table.ports.get(servicePortKey(namespace, service, port));
  // Named ports are rare enough in Ingresses to be looked for.
  for (const candidate of table.ports.values()) {
    if (
      candidate.name === port &&
      candidate.protocol === "TCP" &&
      candidate.service === service &&
      candidate.namespace === namespace
    ) {
      return candidate;
    }
  }
  return undefined;
}

/** Lower case, without port and without the root's dot. */
function normalHost(host: string): string {
  const lower = host.toLowerCase();
  const colon = lower.startsWith("[") ? lower.indexOf("]:") + 1 : lower.indexOf(":");
  const name = colon > 0 ? lower.slice(0, colon) : lower;
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/**
 * The path that decides: without query, with dot segments resolved (plain or percent-encoded), so
 * that `/public/../admin` is routed like the `/admin` it is to the backend. What is passed on is
 * the request as it came.
 */
function pathOf(target: string): string {
  const query = target.indexOf("?");
  const path = query === -1 ? target : target.slice(0, query);
  return /\/(\.|%2e)/i.test(path) ? resolveDots(path) : path;
}

function resolveDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/").slice(1);
  segments.forEach((segment, index) => {
    const plain = segment.replace(/%2e/gi, ".");
    const last = index === segments.length - 1;
    if (plain === "..") kept.pop();
    if (plain !== "." && plain !== "..") kept.push(segment);
    else if (last) kept.push("");
  });
  return `/${kept.join("/")}`;
}
