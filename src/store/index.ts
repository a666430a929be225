export { StoreError } from "../mvcc/index.ts";
export type {
  KeyValue,
  LeaseId,
  Revision,
  StoreErrorCode,
  StoreWatchEvent,
} from "../mvcc/index.ts";
export type { DirectoryLock, Disk, DiskFile } from "./disk.ts";
export { openStore } from "./open-store.ts";
export type { OpenStoreOptions } from "./open-store.ts";
export type { PutOptions, RangeOptions, Store } from "./store.ts";
