export { assertBatch } from "./keyvalue/replicated-key-values.ts";
export { MAX_BATCH_KEYS, MAX_KEYS_PER_PAGE } from "./keyvalue/keyvalue-stores.ts";
export type {
  KeyPage,
  KeyValueStores,
  StoredValue,
  StoreSummary,
  ValueEvent,
  ValueWriteOptions,
} from "./keyvalue/keyvalue-stores.ts";
export { KEYVALUE_RESOURCE, QUOTA_EXCEEDED } from "./keyvalue/namespace-quota.ts";
export { MAX_KEY_BYTES, MAX_VALUE_BYTES, type StoreAddress } from "./keyvalue/value-key.ts";
export { noSuchKey } from "./keyvalue/value-writer.ts";
export { notLeading } from "./leading.ts";
export type { ListRequest, ObjectList, Selection } from "./list-page.ts";
export type { StoredObject } from "./object-codec.ts";
export type { ObjectObserver } from "./observe-objects.ts";
export { createRegistry } from "./registry.ts";
export type { PresentObjects, Registry, RegistryOptions } from "./registry.ts";
export type {
  Change,
  DeleteRequest,
  DeleteResult,
  Preconditions,
  PropagationPolicy,
  ReadOptions,
  ResourceRegistry,
  UpdateOptions,
  UpdateResult,
  WriteOptions,
  WriteScope,
} from "./resource-registry.ts";
export type { Leadership, MemberId, Membership, Revision, Store, Term } from "../store/index.ts";
export type { WatchEvent, WatchRequest } from "./watch-objects.ts";
