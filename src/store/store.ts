import type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "../mvcc/index.ts";
import type { MemberId, MemberRole, Term } from "../raft/index.ts";

export interface RangeOptions {
  /** At most so many; everything when absent. */
  readonly limit?: number;
  /** Only keys behind this one (exclusive). */
  readonly after?: string;
}

export interface WriteOptions {
  /**
   * Writes only in this term of leadership (a fence): what was decided by an earlier leader must
   * not be written by a later one. @throws StoreError not-leader
   */
  readonly term?: Term;
}

export interface PutOptions extends WriteOptions {
  /** The key lives as long as this lease; an update without it detaches the key. */
  readonly lease?: LeaseId;
}

/** read-only: the disk is full (it goes on by itself), or failed (until a restart). */
export type StoreMode = "read-write" | "read-only" | "closed";

/** Who writes. A store of its own machine alone always leads. */
export interface Leadership {
  readonly term: Term;
  /** Undefined while nobody is known to lead. */
  readonly leader: MemberId | undefined;
  /** This store may write: it leads, and has applied every entry of earlier terms. */
  readonly self: boolean;
}

/** A server of the group, as all of them know it. */
export interface Member {
  readonly id: MemberId;
  readonly name: string;
  readonly role: MemberRole;
  /** Where its peer port answers, "host:port". */
  readonly peerAddress: string;
  /** Where its API answers, "https://host:port"; empty of a witness. */
  readonly apiAddress: string;
}

/** What the leader knows of a member beyond its entry in the list; for `kubun member list`. */
export interface MemberStatus extends Member {
  readonly leader: boolean;
  /** Whether it was heard lately; unknown to all but the leader. */
  readonly reachable?: boolean;
  /** Entries behind the leader; unknown to all but the leader. */
  readonly lag?: number;
}

/** The group behind the store: its members, and changes of them (leader only). */
export interface Membership {
  readonly self: MemberId;
  readonly clusterId: string;
  members(): readonly Member[];
  status(): readonly MemberStatus[];
  /** Adds a learner or witness. A learner is promoted by the leader once it has caught up. */
  add(member: Member): Promise<void>;
  promote(id: MemberId): Promise<void>;
  remove(id: MemberId): Promise<void>;
  /** Resolves when another member leads, rejects when it does not come to that in time. */
  transferLeadership(to?: MemberId): Promise<void>;
  /** Called after each applied change of the members. Returns the way to stop it. */
  onChange(listener: () => void): () => void;
}

/**
 * What Kubernetes needs of storage, and no more. Reads of the present are synchronous and come from
 * memory; a write resolves when it is durable and applied, so that a `get` after it sees it.
 * Everything that refuses throws or rejects with a StoreError.
 */
export interface Store {
  /** The latest revision applied here; 0 in a new store. */
  readonly revision: Revision;
  /** States before this revision are gone. */
  readonly compactedRevision: Revision;
  /** Read index: resolves when every write acknowledged before the call is visible here. */
  barrier(): Promise<Revision>;
  /** Resolves when this revision is applied here, or rejects: unavailable, closed. */
  reached(revision: Revision): Promise<void>;
  /** Whether the disk takes writes; who may write, `leadership` says. */
  readonly mode: StoreMode;
  readonly leadership: Leadership;
  /** Called after each change of `leadership`. Returns the way to stop it. */
  onLeadership(listener: (leadership: Leadership) => void): () => void;
  readonly membership: Membership;
  get(key: string): KeyValue | undefined;
  /** In key order (UTF-16 code units). */
  list(prefix: string, options?: RangeOptions): readonly KeyValue[];
  count(prefix: string): number;
  /** @throws StoreError compacted, future-revision */
  getAt(key: string, revision: Revision): Promise<KeyValue | undefined>;
  /** @throws StoreError compacted, future-revision */
  listAt(prefix: string, revision: Revision, options?: RangeOptions): Promise<readonly KeyValue[]>;
  /**
   * @throws StoreError key-exists, lease-missing, too-large, overloaded, read-only, closed,
   * not-leader (nothing was written, and nothing will be), unavailable (whether it was written is
   * unknown: no majority answered in time)
   */
  create(key: string, value: Uint8Array, options?: PutOptions): Promise<KeyValue>;
  /** Like create, but @throws StoreError key-missing, revision-mismatch (with the current one). */
  update(
    key: string,
    value: Uint8Array,
    expected: Revision,
    options?: PutOptions,
  ): Promise<KeyValue>;
  /** Resolves with the last value, `modRevision` being the revision of the delete. */
  delete(key: string, expected: Revision, options?: WriteOptions): Promise<KeyValue>;
  /**
   * Every change of keys under the prefix behind the revision `after`, once and in order, in
   * batches. Ends when the signal aborts.
   * @throws StoreError compacted, future-revision, slow-watcher, closed, while iterating.
   */
  watch(
    prefix: string,
    after: Revision,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<readonly StoreWatchEvent[]>;
  /** Forgets the states before `revision`. @throws StoreError compacted, future-revision */
  compact(revision: Revision): Promise<void>;
  grantLease(ttlMs: number): Promise<LeaseId>;
  /** Gives the lease its full time again. @throws StoreError lease-missing */
  renewLease(id: LeaseId): Promise<void>;
  /** Deletes the lease and its keys. @throws StoreError lease-missing */
  revokeLease(id: LeaseId): Promise<void>;
  /** Writes a consistent copy of the state to a new file, off the event loop. */
  snapshot(path: string): Promise<void>;
  /** Finishes what is under way, checkpoints and gives the directory free. */
  close(): Promise<void>;
}
