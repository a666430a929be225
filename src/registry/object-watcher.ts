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
import { latestState } from "./latest-state.ts";
import { reachRevision } from "./reach-revision.ts";
import { assertWatchOptions, parseResourceVersion } from "./resource-version.ts";
import { refusalOf } from "./store-refusal.ts";
import { namespacePrefix } from "./storage-key.ts";
import { WatchFeed, type WatchStep } from "./watch-feed.ts";
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
    return new ObjectWatch(this.#options, request, filter, version);
  }
}

/**
 * One watch. An iterator written out, because a generator over generators costs each event a dozen
 * turns of the microtask queue, and there may be thousands of watches.
 */
class ObjectWatch implements AsyncIterableIterator<readonly WatchEvent[]> {
  readonly #options: ObjectWatcherOptions;
  readonly #request: WatchRequest;
  readonly #filter: ObjectFilter | undefined;
  readonly #version: Revision | undefined;
  readonly #stopped = new AbortController();
  #initial: Iterator<readonly WatchEvent[]> | undefined;
  #feed: WatchFeed | undefined;
  #start = 0 as Revision;
  #delivered = 0 as Revision;

  constructor(
    options: ObjectWatcherOptions,
    request: WatchRequest,
    filter: ObjectFilter | undefined,
    version: Revision | undefined,
  ) {
    this.#options = options;
    this.#request = request;
    this.#filter = filter;
    this.#version = version;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<readonly WatchEvent[], undefined>> {
    try {
      this.#initial ??= await this.#begin();
      const initial = this.#initial.next();
      if (initial.done !== true) return { done: false, value: initial.value };
      this.#feed ??= this.#follow();
      for (;;) {
        const step = await this.#feed.take();
        const events = this.#eventsOf(step);
        if (events === undefined) return this.return();
        if (events.length > 0) return { done: false, value: events };
      }
    } catch (error) {
      this.#stopped.abort();
      throw this.#refusalOf(error);
    }
  }

  return(): Promise<IteratorResult<readonly WatchEvent[], undefined>> {
    this.#stopped.abort();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Settles where the watch starts, and what is told before the changes. */
  async #begin(): Promise<Iterator<readonly WatchEvent[]>> {
    const { store, clock, definition } = this.#options;
    const { sendInitialEvents, allowWatchBookmarks, namespace, signal } = this.#request;
    const version = this.#version;
    const fromNow = version === undefined || version === 0;
    if (version !== 0) await latestState(store);
    // Kubernetes lets a plain watch from the future wait without a word; telling after a while
    // lets clients find out that the server lost what they had seen.
    if (version !== undefined) await reachRevision(version, { store, clock, signal });
    const initial = sendInitialEvents ?? fromNow;
    // List and revision are read in one go, so that they are of the same moment.
    this.#start = initial || fromNow ? store.revision : version;
    this.#delivered = this.#start;
    const existing = initial ? store.list(namespacePrefix(definition, namespace)) : [];
    const bookmark = sendInitialEvents === true && allowWatchBookmarks === true;
    return this.#initialEvents(existing, bookmark);
  }

  *#initialEvents(
    kvs: readonly KeyValue[],
    bookmark: boolean,
  ): Generator<readonly WatchEvent[], void, undefined> {
    for (let from = 0; from < kvs.length; from += INITIAL_BATCH) {
      const batch: WatchEvent[] = [];
      for (const kv of kvs.slice(from, from + INITIAL_BATCH)) {
        const stored = this.#options.view(kv);
        if (this.#filter === undefined || this.#filter.matches(stored.object)) {
          batch.push({ type: "ADDED", stored });
        }
      }
      if (batch.length > 0) yield batch;
    }
    if (bookmark) yield [{ type: "BOOKMARK", revision: this.#start, initialEventsEnd: true }];
  }

  #follow(): WatchFeed {
    const { store, clock, definition } = this.#options;
    const { namespace, signal, allowWatchBookmarks } = this.#request;
    const either = AbortSignal.any([signal, this.#stopped.signal]);
    const prefix = namespacePrefix(definition, namespace);
    const events = store.watch(prefix, this.#start, { signal: either });
    const feed = new WatchFeed({ events, store, clock, signal: either });
    if (allowWatchBookmarks === true) feed.tickAfter(BOOKMARK_EVERY_MS);
    return feed;
  }

  /** Undefined at the end; empty when nothing is to be told. */
  #eventsOf(step: WatchStep): readonly WatchEvent[] | undefined {
    switch (step.type) {
      case "end":
        return undefined;
      case "failed":
        throw step.error;
      case "events":
        this.#delivered = step.events.at(-1)?.kv.modRevision ?? this.#delivered;
        return this.#selected(step.events, this.#filter);
      case "tick": {
        this.#feed?.tickAfter(BOOKMARK_EVERY_MS);
        if (!step.settled || step.revision < this.#delivered) return [];
        return [{ type: "BOOKMARK", revision: step.revision, initialEventsEnd: false }];
      }
      default:
        return unreachable(step);
    }
  }

  #refusalOf(error: unknown): unknown {
    const { store, definition } = this.#options;
    if (!(error instanceof StoreError) || error.code !== "compacted") {
      return refusalOf(error, definition, "");
    }
    return expired(`too old resource version: ${this.#start} (${store.compactedRevision})`);
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
