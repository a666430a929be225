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
export { LONE_LEADERSHIP, LONE_MEMBERSHIP } from "./lone-group.ts";
export { openStore } from "./open-store.ts";
export type { OpenStoreOptions, StoreLimits } from "./open-store.ts";
export { restoreSnapshot } from "./restore-snapshot.ts";
export type { RestoreSnapshotOptions } from "./restore-snapshot.ts";
export type { MemberId, MemberRole, Message, Term } from "../raft/index.ts";
export type {
  PeerHandlers,
  PeerTransport,
  ReceivedSnapshot,
  SnapshotFile,
} from "./peer-transport.ts";
export type {
  Leadership,
  Member,
  MemberStatus,
  Membership,
  PutOptions,
  RangeOptions,
  Store,
  WriteOptions,
} from "./store.ts";
