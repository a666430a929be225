// Generated from types.json by `bun run generate`; change the data, not this file.
import type { EventSource, ObjectReference } from "../../core/v1/types.ts";
import type { ListMeta, MicroTime, ObjectMeta, Time } from "../../meta/v1/types.ts";

export interface Event {
  action?: string;
  apiVersion?: string;
  deprecatedCount?: number;
  deprecatedFirstTimestamp?: Time;
  deprecatedLastTimestamp?: Time;
  deprecatedSource?: EventSource;
  eventTime: MicroTime;
  kind?: string;
  metadata: ObjectMeta;
  note?: string;
  reason?: string;
  regarding?: ObjectReference;
  related?: ObjectReference;
  reportingController?: string;
  reportingInstance?: string;
  series?: EventSeries;
  type?: string;
  [field: string]: unknown;
}

export interface EventList {
  apiVersion?: string;
  items: Event[];
  kind?: string;
  metadata?: ListMeta;
  [field: string]: unknown;
}

export interface EventSeries {
  count: number;
  lastObservedTime: MicroTime;
}
