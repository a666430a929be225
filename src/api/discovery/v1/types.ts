// Generated from types.json by `bun run generate`; change the data, not this file.
import type { ListMeta, ObjectMeta } from "../../meta/v1/types.ts";
import type { ObjectReference } from "../../core/v1/types.ts";

export interface Endpoint {
  addresses: string[];
  conditions?: EndpointConditions;
  deprecatedTopology?: Record<string, string>;
  hints?: EndpointHints;
  hostname?: string;
  nodeName?: string;
  targetRef?: ObjectReference;
  zone?: string;
}

export interface EndpointConditions {
  ready?: boolean;
  serving?: boolean;
  terminating?: boolean;
}

export interface EndpointHints {
  forNodes?: ForNode[];
  forZones?: ForZone[];
}

export interface EndpointPort {
  appProtocol?: string;
  name?: string;
  port?: number;
  protocol?: string;
}

export interface EndpointSlice {
  addressType: string;
  apiVersion?: string;
  endpoints?: Endpoint[];
  kind?: string;
  metadata: ObjectMeta;
  ports?: EndpointPort[];
  [field: string]: unknown;
}

export interface EndpointSliceList {
  apiVersion?: string;
  items: EndpointSlice[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}

export interface ForNode {
  name: string;
}

export interface ForZone {
  name: string;
}
