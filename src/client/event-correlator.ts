import type { Event } from "../api/index.ts";

/** Known events and groups; the least recently used go first. */
export const MAX_CORRELATED_EVENTS = 4096;
/** Events about one object that differ only in their message, before they are told as one. */
export const SIMILAR_EVENTS_LIMIT = 10;
const SIMILAR_EVENTS_WINDOW_MS = 10 * 60_000;
/** Events one object may cause at once, and how long it takes to regain one. */
export const BURST_PER_OBJECT = 25;
const REFILL_MS = 5 * 60_000;

export type Verdict =
  | { readonly type: "create"; readonly event: Event }
  /** The event is known under `event.metadata.name`: raise its count. */
  | { readonly type: "count"; readonly event: Event }
  | { readonly type: "drop" };

interface Known {
  readonly name: string;
  readonly firstTimestamp: string;
  count: number;
}

interface Group {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Keeps repeated events from filling the store, in three steps: an object that causes too many is
 * cut off; many that differ only in their message become one "combined" event; one that is told
 * again raises the count of the first.
 */
export class EventCorrelator {
  readonly #known = new BoundedMap<Known>(MAX_CORRELATED_EVENTS);
  readonly #groups = new BoundedMap<Group>(MAX_CORRELATED_EVENTS);
  readonly #buckets = new BoundedMap<Bucket>(MAX_CORRELATED_EVENTS);

  correlate(event: Event, nowMs: number): Verdict {
    if (!this.#spend(objectKeyOf(event), nowMs)) return { type: "drop" };
    const told = this.#combine(event, nowMs);
    const known = this.#known.get(eventKeyOf(told));
    if (known === undefined) return { type: "create", event: told };
    return {
      type: "count",
      event: {
        ...told,
        metadata: { ...told.metadata, name: known.name },
        firstTimestamp: known.firstTimestamp,
        count: known.count + 1,
      },
    };
  }

  /** The event of a verdict is in the store now, under this name. */
  stored(event: Event, name: string): void {
    this.#known.set(eventKeyOf(event), {
      name,
      firstTimestamp: event.firstTimestamp ?? "",
      count: event.count ?? 1,
    });
  }

  #spend(key: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: BURST_PER_OBJECT, atMs: nowMs };
    const gained = (nowMs - bucket.atMs) / REFILL_MS;
    bucket.tokens = Math.min(BURST_PER_OBJECT, bucket.tokens + gained);
    bucket.atMs = nowMs;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #combine(event: Event, nowMs: number): Event {
    const key = groupKeyOf(event);
    let group = this.#groups.get(key);
    if (group === undefined || nowMs - group.lastMs > SIMILAR_EVENTS_WINDOW_MS) {
      group = { messages: new Set(), lastMs: nowMs };
    }
    group.lastMs = nowMs;
    if (group.messages.size < SIMILAR_EVENTS_LIMIT) group.messages.add(event.message ?? "");
    this.#groups.set(key, group);
    if (group.messages.size < SIMILAR_EVENTS_LIMIT) return event;
    return { ...event, message: `(combined from similar events): ${event.message ?? ""}` };
  }
}

function objectKeyOf(event: Event): string {
  const { kind, namespace, name, uid } = event.involvedObject;
  return [event.source?.component, event.source?.host, kind, namespace, name, uid].join("\0");
}

function groupKeyOf(event: Event): string {
  return [objectKeyOf(event), event.type, event.reason].join("\0");
}

const COMBINED = /^\(combined from similar events\)/;

function eventKeyOf(event: Event): string {
  const { message = "", involvedObject } = event;
  // A combined event stays one, whatever its latest message is and which container it is about.
  const told = COMBINED.test(message) ? "combined" : `${involvedObject.fieldPath ?? ""} ${message}`;
  return [groupKeyOf(event), told].join("\0");
}

/** A map that forgets what was set or read least recently. */
class BoundedMap<V> {
  readonly #limit: number;
  readonly #entries = new Map<string, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#limit) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
