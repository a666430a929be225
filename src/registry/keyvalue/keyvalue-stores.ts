import type { Revision, Term } from "../../store/index.ts";
import type { StoreAddress } from "./value-key.ts";

/** One key as it is now. */
export interface StoredValue {
  readonly key: string;
  /** Must not be changed: it is what the replicated store has in memory. */
  readonly value: Uint8Array;
  readonly revision: Revision;
}

/** A store as a whole: it is there as long as it has keys. */
export interface StoreSummary extends StoreAddress {
  readonly keys: number;
  /** Of keys and values, as they count against the quota. */
  readonly bytes: number;
  /** When the oldest of its keys was created, in milliseconds since the Unix epoch. */
  readonly createdMs: number;
  /** Of the latest change of a key that is there. */
  readonly revision: Revision;
}

export interface KeyListRequest {
  readonly prefix?: string;
  /** At most {@link MAX_KEYS_PER_PAGE}, which is also the default. */
  readonly limit?: number;
  readonly continue?: string;
}

export interface KeyPage {
  readonly revision: Revision;
  /** In key order (UTF-16 code units). */
  readonly items: readonly StoredValue[];
  readonly continue?: string;
}

export interface ValueWriteOptions {
  /** Writes only if this is the key's revision, 0 if there is no such key. Otherwise 409. */
  readonly expected?: Revision;
  /** Writes only in this term, as all that a request writes does. */
  readonly term?: Term;
}

export interface ValueWatchRequest {
  readonly prefix?: string;
  /** Changes behind this one; absent or "0" starts with the keys that are there. */
  readonly resourceVersion?: string;
  readonly signal: AbortSignal;
}

export type ValueEvent =
  | { readonly type: "ADDED" | "MODIFIED"; readonly item: StoredValue }
  | { readonly type: "DELETED"; readonly key: string; readonly revision: Revision }
  /** Everything up to `revision` was told. */
  | { readonly type: "BOOKMARK"; readonly revision: Revision };

/** Keys of one page of a list. */
export const MAX_KEYS_PER_PAGE = 1_000;
/** Keys of one read of several, or of one write of several. */
export const MAX_BATCH_KEYS = 256;
/** Bytes of the values of one read of several, and of the events a watch hands over at once. */
export const MAX_BYTES_AT_ONCE = 4 * 1024 * 1024;

/**
 * Keys and values of components, by namespace and store. Every write is one entry of the log, and
 * is decided here, on the leader; reads ask for the latest state wherever they are made.
 * What is refused is thrown as a StatusError:
 * 400 for names and keys that cannot be, 403 beyond the quota, 404 for what is not there, 409 when
 * another revision was expected, 413 for values that are too large, 422 for what is no number.
 */
export interface KeyValueStores {
  /** Of one namespace, or of all for "", by namespace and name. */
  stores(namespace: string): Promise<{
    readonly revision: Revision;
    readonly items: readonly StoreSummary[];
  }>;
  /** Undefined when it has no keys. */
  store(at: StoreAddress): Promise<StoreSummary | undefined>;
  keys(at: StoreAddress, request: KeyListRequest): Promise<KeyPage>;
  get(at: StoreAddress, key: string): Promise<StoredValue | undefined>;
  /** One moment of all of them, in the order asked for; 413 above {@link MAX_BYTES_AT_ONCE}. */
  getMany(at: StoreAddress, keys: readonly string[]): Promise<(StoredValue | undefined)[]>;
  set(
    at: StoreAddress,
    key: string,
    value: Uint8Array,
    options?: ValueWriteOptions,
  ): Promise<StoredValue>;
  /** Gives the revision of the deletion. */
  delete(at: StoreAddress, key: string, options?: ValueWriteOptions): Promise<Revision>;
  /**
   * Adds to the number that the value is as decimal text; a key that is not there counts as 0.
   * Numbers have 64 bits with sign; what would leave them is refused.
   */
  increment(
    at: StoreAddress,
    key: string,
    delta: bigint,
    options?: ValueWriteOptions,
  ): Promise<{ readonly value: bigint; readonly revision: Revision }>;
  /** Deletes every key that is there now, each by a write of its own; gives their number. */
  empty(at: StoreAddress, options?: Pick<ValueWriteOptions, "term">): Promise<number>;
  /** Throws at once for options that make no sense; 410 is told while iterating. */
  watch(at: StoreAddress, request: ValueWatchRequest): AsyncIterable<readonly ValueEvent[]>;
}
