import type { MemberId, Term } from "../raft/index.ts";
import { StoreError } from "../mvcc/index.ts";
import type { Leadership, Member, Membership } from "./store.ts";

const SELF = 1 as MemberId;

/** A store of one machine alone: it always leads. */
export const LONE_LEADERSHIP: Leadership = { term: 1 as Term, leader: SELF, self: true };

/** The group of a store that can have no other members. */
export const LONE_MEMBERSHIP: Membership = {
  self: SELF,
  clusterId: "",
  members: (): readonly Member[] => [],
  status: () => [],
  add: () => Promise.reject(alone()),
  promote: () => Promise.reject(alone()),
  remove: () => Promise.reject(alone()),
  transferLeadership: () => Promise.reject(alone()),
  onChange: () => () => undefined,
};

function alone(): StoreError {
  return new StoreError("unavailable", "this store has no other members");
}
