import type { KeyValue, LeaseId, Revision } from "./model.ts";
import type { StoreError } from "./store-error.ts";

/** What a log entry asks of the state machine. Everything timed or random is decided before. */
export type Command =
  | ({ readonly type: "create"; readonly key: string; readonly value: Uint8Array } & Attached)
  | ({
      readonly type: "update";
      readonly key: string;
      readonly value: Uint8Array;
      readonly expected: Revision;
    } & Attached)
  | { readonly type: "delete"; readonly key: string; readonly expected: Revision }
  | { readonly type: "compact"; readonly revision: Revision }
  | { readonly type: "grant-lease"; readonly ttlMs: number }
  | { readonly type: "revoke-lease"; readonly lease: LeaseId }
  | { readonly type: "feature-level"; readonly level: number };

interface Attached {
  readonly lease?: LeaseId;
}

/** The outcome of one command; the same on every replica. */
export type CommandResult =
  | { readonly type: "key-value"; readonly kv: KeyValue }
  | { readonly type: "lease"; readonly lease: LeaseId }
  | { readonly type: "done" }
  | { readonly type: "refused"; readonly error: StoreError };
