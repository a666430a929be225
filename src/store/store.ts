import type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "../mvcc/index.ts";

export interface RangeOptions {
  /** At most so many; everything when absent. */
  readonly limit?: number;
  /** Only keys behind this one (exclusive). */
  readonly after?: string;
}

export interface PutOptions {
  /** The key lives as long as this lease; an update without it detaches the key. */
  readonly lease?: LeaseId;
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
  get(key: string): KeyValue | undefined;
  /** In key order (UTF-16 code units). */
  list(prefix: string, options?: RangeOptions): readonly KeyValue[];
  count(prefix: string): number;
  /** @throws StoreError compacted, future-revision */
  getAt(key: string, revision: Revision): Promise<KeyValue | undefined>;
  /** @throws StoreError compacted, future-revision */
  listAt(prefix: string, revision: Revision, options?: RangeOptions): Promise<readonly KeyValue[]>;
  /** @throws StoreError key-exists, lease-missing, too-large, overloaded, read-only, closed */
  create(key: string, value: Uint8Array, options?: PutOptions): Promise<KeyValue>;
  /** Like create, but @throws StoreError key-missing, revision-mismatch (with the current one). */
  update(
    key: string,
    value: Uint8Array,
    expected: Revision,
    options?: PutOptions,
  ): Promise<KeyValue>;
  /** Resolves with the last value, `modRevision` being the revision of the delete. */
  delete(key: string, expected: Revision): Promise<KeyValue>;
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
