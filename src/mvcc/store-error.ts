import type { KeyValue } from "./model.ts";

/** Every way in which a store refuses; callers map these in one table. */
export type StoreErrorCode =
  | "key-exists"
  | "key-missing"
  | "revision-mismatch"
  | "compacted"
  | "future-revision"
  | "slow-watcher"
  | "too-large"
  | "overloaded"
  | "read-only"
  | "lease-missing"
  | "closed"
  | "not-leader"
  | "unavailable";

/** An operational refusal of the store; never a bug of the caller. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  /** What the key holds now: with `key-exists` and `revision-mismatch`. */
  readonly current?: KeyValue;

  constructor(code: StoreErrorCode, message: string, options: { current?: KeyValue } = {}) {
    super(message);
    this.code = code;
    if (options.current !== undefined) this.current = options.current;
  }
}
