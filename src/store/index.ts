export { StoreError } from "../mvcc/index.ts";
export type {
  KeyValue,
  LeaseId,
  Revision,
  StoreErrorCode,
  StoreWatchEvent,
} from "../mvcc/index.ts";
export type { DirectoryLock, Disk, DiskFile } from "./disk.ts";
export type { GroupOptions, GroupStart } from "./group-options.ts";
export { MembershipError } from "./group-membership.ts";
export { LONE_LEADERSHIP, LONE_MEMBERSHIP } from "./lone-group.ts";
export { IdentityError, newClusterId, newMemberId, readMemberIdentity } from "./member-identity.ts";
export type { MemberIdentity } from "./member-identity.ts";
export { EtcdError } from "./etcd/etcd-client.ts";
export type { EtcdTls } from "./etcd/etcd-client.ts";
export { openEtcdStore } from "./etcd/open-etcd-store.ts";
export type { OpenEtcdStoreOptions } from "./etcd/open-etcd-store.ts";
export { openStore } from "./open-store.ts";
export type { OpenStoreOptions, StoreLimits } from "./open-store.ts";
export { openWitness } from "./open-witness.ts";
export type { OpenWitnessOptions, Witness } from "./open-witness.ts";
export { resetGroup } from "./reset-group.ts";
export type { ResetGroupOptions, ResetOutcome } from "./reset-group.ts";
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
  StoreMode,
  WriteOptions,
} from "./store.ts";
