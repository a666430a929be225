import type { KubeObject } from "../../../apimachinery/index.ts";
import type { Event as CoreEvent } from "../../core/v1/types.ts";
import type { Event } from "./types.ts";

type Renaming = readonly (readonly [event: string, coreEvent: string])[];

/** The same event under two names a field; what is not named here is called alike in both. */
const RENAMED: Renaming = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
];

const TO_CORE = new Map(RENAMED);
const FROM_CORE = new Map(RENAMED.map(([event, coreEvent]) => [coreEvent, event]));

/** An event of events.k8s.io as the core group's, in which form both are stored. */
export function coreEventFrom(event: Event): CoreEvent {
  const renamed = rename(event, TO_CORE);
  return { involvedObject: {}, ...renamed, apiVersion: "v1", kind: "Event" };
}

/** The way back. */
export function eventFromCore(coreEvent: KubeObject): Event {
  const renamed = rename(coreEvent, FROM_CORE);
  return { ...renamed, apiVersion: "events.k8s.io/v1", kind: "Event" } as Event;
}

function rename(object: KubeObject, names: ReadonlyMap<string, string>): KubeObject {
  const renamed: KubeObject = { metadata: object.metadata };
  for (const [field, value] of Object.entries(object)) renamed[names.get(field) ?? field] = value;
  return renamed;
}
