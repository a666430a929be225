export { StoreError } from "../mvcc/index.ts";
export type {
  KeyValue,
  LeaseId,
  Revision,
  StoreErrorCode,
  StoreWatchEvent,
} from "../mvcc/index.ts";
export type { DirectoryLock, Disk, DiskFile } from "./disk.ts";
export { LogDamagedError } from "./log/segmented-log.ts";
export { openStore } from "./open-store.ts";
export type { OpenStoreOptions, StoreLimits } from "./open-store.ts";
export { restoreSnapshot } from "./restore-snapshot.ts";
export type { RestoreSnapshotOptions } from "./restore-snapshot.ts";
export type { PutOptions, RangeOptions, Store } from "./store.ts";
