// Generated from types.json by `bun run generate`; change the data, not this file.
import type { ListMeta, ObjectMeta } from "../../meta/v1/types.ts";

export interface KeyValueStore {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  status?: KeyValueStoreStatus;
  [field: string]: unknown;
}

export interface KeyValueStoreList {
  apiVersion?: string;
  items: KeyValueStore[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}

export interface KeyValueStoreStatus {
  bytes: number;
  keys: number;
}
