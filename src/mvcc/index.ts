export type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "./model.ts";
export { StoreError } from "./store-error.ts";
export type { StoreErrorCode } from "./store-error.ts";
