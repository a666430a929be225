// Generated from types.json by `bun run generate`; change the data, not this file.
import type { ListMeta, ObjectMeta } from "../../meta/v1/types.ts";

export interface PriorityClass {
  apiVersion?: string;
  description?: string;
  globalDefault?: boolean;
  kind?: string;
  metadata: ObjectMeta;
  preemptionPolicy?: string;
  value?: number;
  [field: string]: unknown;
}

export interface PriorityClassList {
  apiVersion?: string;
  items: PriorityClass[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}
