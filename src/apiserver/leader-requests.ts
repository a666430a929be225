import { parseTarget, pathnameOf, queryOf, type ResourceTarget } from "./request-target.ts";
import { isInStore, partOf } from "./keyvalue/keyvalue-target.ts";
import { flagOf } from "./query-options.ts";

/** Streams to a pod or a node, whatever their method. */
const STREAMS: ReadonlySet<string> = new Set(["attach", "exec", "log", "portforward", "proxy"]);
/** Their objects are questions: POST asks, and nothing is written. */
const QUESTIONS: ReadonlySet<string> = new Set(["authentication.k8s.io", "authorization.k8s.io"]);
/** Every server has the keys that tokens are signed with. */
const TOKEN = "token";

/** Whether only the leader can answer a request: it writes, or reads what the leader remembers. */
export function needsLeader(request: Request): boolean {
  const target = parseTarget(pathnameOf(request.url));
  if (target === undefined || target.type === "path") return false;
  switch (request.method) {
    case "GET":
    case "HEAD":
      return readsHeartbeats(target, request);
    case "OPTIONS":
      return false;
    default:
      if (STREAMS.has(target.subresource) || QUESTIONS.has(target.group)) return false;
      if (target.resource === "serviceaccounts" && target.subresource === TOKEN) return false;
      return !(isInStore(target) && partOf(target) === "read");
  }
}

/** Renewals of node leases are in the leader's memory alone. A watch does not show them. */
function readsHeartbeats(target: ResourceTarget, { url }: Request): boolean {
  if (target.group !== "coordination.k8s.io" || target.resource !== "leases") return false;
  if (target.namespace !== "kube-node-lease" && target.namespace !== "") return false;
  return !target.watchPath && flagOf(queryOf(url), "watch") !== true;
}
