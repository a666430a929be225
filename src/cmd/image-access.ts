import { ADMINISTRATORS } from "../apiserver/index.ts";
import type { User } from "../apiserver/index.ts";
import type { Authorization } from "../images/index.ts";

const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * What somebody may do with the cluster's images: whoever is known pulls; only administrators push
 * and delete, since whoever replaces an image decides what all nodes run.
 */
export function imageAccess(user: User | undefined, method: string): Authorization {
  if (user === undefined) return "unauthenticated";
  return READS.has(method) || user.groups.includes(ADMINISTRATORS) ? "allow" : "forbidden";
}
