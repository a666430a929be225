import type { PeerTransport } from "./peer-transport.ts";
import type { Member } from "./store.ts";

/**
 * How a member comes to its group.
 * - bootstrap: it founds one, alone; a directory that belongs to a group already goes on with it.
 * - join: it was admitted by the group's leader, which gave it its id; its directory is empty, or
 *   was begun by the same admission.
 * - restart: it has been a member; a directory without its identity is refused.
 */
export type GroupStart =
  | { readonly type: "bootstrap" }
  /** `members`: who is in the group already, so that the first answer finds its way. */
  | { readonly type: "join"; readonly members?: readonly Member[] }
  | { readonly type: "restart" };

/** What a store needs to be one of several. */
export interface GroupOptions {
  /** As the others know it; `role` counts only until the group says otherwise. */
  readonly self: Member;
  readonly clusterId: string;
  /** The store starts and closes it. */
  readonly transport: PeerTransport;
  readonly start: GroupStart;
  /** Told once when the group has removed this member: it takes part in nothing any more. */
  readonly onRemoved?: () => void;
}
