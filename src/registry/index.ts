export { assertBatch } from "./keyvalue/replicated-key-values.ts";
export type {
  KeyPage,
  KeyValueStores,
  StoredValue,
  StoreSummary,
  ValueEvent,
  ValueWriteOptions,
} from "./keyvalue/keyvalue-stores.ts";
export { KEYVALUE_RESOURCE } from "./keyvalue/namespace-quota.ts";
export type { StoreAddress } from "./keyvalue/value-key.ts";
export { noSuchKey } from "./keyvalue/value-writer.ts";
export { notLeading } from "./leading.ts";
export type { ListRequest, ObjectList, Selection } from "./list-page.ts";
export type { ItemBytes, StoredObject } from "./object-codec.ts";
export type { ObjectObserver } from "./observe-objects.ts";
export { createRegistry } from "./registry.ts";
export type { PresentObjects, Registry, RegistryOptions } from "./registry.ts";
export type {
  Change,
  DeleteRequest,
  DeleteResult,
  OutsideAdmission,
  Preconditions,
  PropagationPolicy,
  ReadOptions,
  ResourceRegistry,
  UpdateOptions,
  UpdateResult,
  WriteOptions,
  WriteScope,
} from "./resource-registry.ts";
export { assertReadable, SealedError, SecretCipher } from "./secret-cipher.ts";
export type { Leadership, MemberId, Membership, Revision, Store, Term } from "../store/index.ts";
export type { WatchEvent, WatchRequest } from "./watch-objects.ts";
