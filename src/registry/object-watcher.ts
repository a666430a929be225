import type { ResourceDefinition } from "../api/index.ts";
import { expired } from "../apimachinery/index.ts";
import { type Clock, unreachable } from "../lib/index.ts";
import {
  type KeyValue,
  type Revision,
  type Store,
  StoreError,
  type StoreWatchEvent,
} from "../store/index.ts";
import type { ObjectCodec, StoredObject } from "./object-codec.ts";
import { objectFilter, type ObjectFilter } from "./object-filter.ts";
import {
  assertWatchOptions,
  parseResourceVersion,
  tooLargeResourceVersion,
} from "./resource-version.ts";
import { refusalOf } from "./store-refusal.ts";
import { namespacePrefix } from "./storage-key.ts";
import { WatchFeed } from "./watch-feed.ts";
import type { WatchEvent, WatchRequest } from "./watch-objects.ts";

export interface ObjectWatcherOptions {
  readonly definition: ResourceDefinition;
  readonly store: Store;
  readonly clock: Clock;
  readonly codec: ObjectCodec;
  readonly view: (kv: KeyValue) => StoredObject;
}

/** How often an idle watch that asked for bookmarks hears where it stands. */
export const BOOKMARK_EVERY_MS = 60_000;

/** Events handed over at once at the start, so that a large collection does not stall others. */
const INITIAL_BATCH = 1_000;

/** The watch verb of one resource. */
export class ObjectWatcher {
  readonly #options: ObjectWatcherOptions;

  constructor(options: ObjectWatcherOptions) {
    this.#options = options;
  }

  /** Throws at once for options that make no sense; the past being gone is told while iterating. */
  watch(request: WatchRequest): AsyncIterable<readonly WatchEvent[]> {
    assertWatchOptions(request);
    const filter = objectFilter(this.#options.definition, request);
    const version = parseResourceVersion(request.resourceVersion);
    return this.#events(request, filter, version);
  }

  async *#events(
    request: WatchRequest,
    filter: ObjectFilter | undefined,
    version: Revision | undefined,
  ): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    const { store, definition } = this.#options;
    const prefix = namespacePrefix(definition, request.namespace);
    const fromNow = version === undefined || version === 0;
    if (version !== 0) await store.barrier();
    if (version !== undefined && version > store.revision) {
      throw tooLargeResourceVersion(version, store.revision);
    }
    const initial = request.sendInitialEvents ?? fromNow;
    // List and revision are read in one go, so that they are of the same moment.
    const start = initial || fromNow ? store.revision : (version ?? store.revision);
    const existing = initial ? store.list(prefix) : [];
    yield* this.#initialEvents(existing, filter);
    if (request.sendInitialEvents === true && request.allowWatchBookmarks === true) {
      yield [{ type: "BOOKMARK", revision: start, initialEventsEnd: true }];
    }
    try {
      yield* this.#follow(prefix, start, filter, request);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code !== "compacted") throw refusalOf(error, definition, "");
      throw expired(`too old resource version: ${start} (${store.compactedRevision})`);
    }
  }

  *#initialEvents(kvs: readonly KeyValue[], filter: ObjectFilter | undefined) {
    for (let from = 0; from < kvs.length; from += INITIAL_BATCH) {
      const batch: WatchEvent[] = [];
      for (const kv of kvs.slice(from, from + INITIAL_BATCH)) {
        const stored = this.#options.view(kv);
        if (filter === undefined || filter.matches(stored.object)) {
          batch.push({ type: "ADDED", stored });
        }
      }
      if (batch.length > 0) yield batch;
    }
  }

  async *#follow(
    prefix: string,
    start: Revision,
    filter: ObjectFilter | undefined,
    { signal, allowWatchBookmarks }: WatchRequest,
  ): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    const { store, clock } = this.#options;
    const stopped = new AbortController();
    const both = AbortSignal.any([signal, stopped.signal]);
    const feed = new WatchFeed({
      events: store.watch(prefix, start, { signal: both }),
      store,
      clock,
      signal: both,
    });
    if (allowWatchBookmarks === true) feed.tickAfter(BOOKMARK_EVERY_MS);
    let delivered = start;
    try {
      for (;;) {
        const step = await feed.take();
        switch (step.type) {
          case "end":
            return;
          case "failed":
            throw step.error;
          case "events": {
            delivered = step.events.at(-1)?.kv.modRevision ?? delivered;
            const events = this.#selected(step.events, filter);
            if (events.length > 0) yield events;
            break;
          }
          case "tick": {
            if (step.settled && step.revision >= delivered) {
              yield [{ type: "BOOKMARK", revision: step.revision, initialEventsEnd: false }];
            }
            feed.tickAfter(BOOKMARK_EVERY_MS);
            break;
          }
          default:
            unreachable(step);
        }
      }
    } finally {
      stopped.abort();
    }
  }

  #selected(events: readonly StoreWatchEvent[], filter: ObjectFilter | undefined): WatchEvent[] {
    const selected: WatchEvent[] = [];
    for (const event of events) {
      const shown = filter === undefined ? this.#shown(event) : this.#filtered(event, filter);
      if (shown !== undefined) selected.push(shown);
    }
    return selected;
  }

  #shown({ type, kv }: StoreWatchEvent): WatchEvent {
    const stored = this.#options.codec.stored(kv);
    if (type === "delete") return { type: "DELETED", stored };
    return { type: kv.version === 1 ? "ADDED" : "MODIFIED", stored };
  }

  /** An object that enters the selection is ADDED, one that leaves it DELETED in its last state. */
  #filtered(event: StoreWatchEvent, filter: ObjectFilter): WatchEvent | undefined {
    const { codec } = this.#options;
    const { type, kv, previous } = event;
    const stored = codec.stored(kv);
    const matches = filter.matches(stored.object);
    if (type === "delete") return matches ? { type: "DELETED", stored } : undefined;
    if (kv.version === 1) return matches ? { type: "ADDED", stored } : undefined;
    // A past that is compacted away may have matched: telling too much does no harm.
    const matched = previous === undefined || filter.matches(codec.stored(previous).object);
    if (matches) return { type: matched ? "MODIFIED" : "ADDED", stored };
    if (!matched) return undefined;
    return { type: "DELETED", stored: codec.storedAs(previous ?? kv, kv.modRevision) };
  }
}
