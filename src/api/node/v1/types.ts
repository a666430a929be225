// Generated from types.json by `bun run generate`; change the data, not this file.
import type { ListMeta, ObjectMeta, Quantity } from "../../meta/v1/types.ts";
import type { Toleration } from "../../core/v1/types.ts";

export interface Overhead {
  podFixed?: Record<string, Quantity>;
}

export interface RuntimeClass {
  apiVersion?: string;
  handler: string;
  kind?: string;
  metadata: ObjectMeta;
  overhead?: Overhead;
  scheduling?: Scheduling;
  [field: string]: unknown;
}

export interface RuntimeClassList {
  apiVersion?: string;
  items: RuntimeClass[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}

export interface Scheduling {
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
}
