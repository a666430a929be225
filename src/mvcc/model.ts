import type { Brand } from "../lib/index.ts";

/** Counts the changes of the whole store, from 1; Kubernetes' resourceVersion. Never decreases. */
export type Revision = Brand<number, "Revision">;

/** Names a lease; given out by the state machine, from 1. */
export type LeaseId = Brand<number, "LeaseId">;

/**
 * One key at one revision. Immutable, and the same object as long as the key does not change, so
 * that a caller can keep what it decoded from `value` in a `WeakMap<KeyValue, …>`.
 */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  /** Revision of the last change; in a delete event, of the delete. */
  readonly modRevision: Revision;
  /** 1 when created, one more with every update. */
  readonly version: number;
  /** The key is deleted when this lease ends. */
  readonly lease?: LeaseId;
}

/** One change. Revisions rise by one from event to event over the whole store. */
export interface StoreWatchEvent {
  readonly type: "put" | "delete";
  /** For a delete: the last value, with `modRevision` the revision of the delete. */
  readonly kv: KeyValue;
  /** What the key held before; absent when it was created, or when it is compacted away. */
  readonly previous?: KeyValue;
}
