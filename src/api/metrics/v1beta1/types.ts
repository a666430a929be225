// Generated from types.json by `bun run generate`; change the data, not this file.
import type { ListMeta, ObjectMeta, Quantity, Time } from "../../meta/v1/types.ts";

export interface ContainerMetrics {
  name: string;
  usage: Record<string, Quantity>;
}

export interface NodeMetrics {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  timestamp: Time;
  usage: Record<string, Quantity>;
  window: string;
  [field: string]: unknown;
}

export interface NodeMetricsList {
  apiVersion?: string;
  items: NodeMetrics[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}

export interface PodMetrics {
  apiVersion?: string;
  containers: ContainerMetrics[];
  kind?: string;
  metadata: ObjectMeta;
  timestamp: Time;
  window: string;
  [field: string]: unknown;
}

export interface PodMetricsList {
  apiVersion?: string;
  items: PodMetrics[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}
