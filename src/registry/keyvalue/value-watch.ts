import { expired } from "../../apimachinery/index.ts";
import type { Clock } from "../../lib/index.ts";
import { unreachable } from "../../lib/index.ts";
import { type Revision, type Store, StoreError, type StoreWatchEvent } from "../../store/index.ts";
import { latestState } from "../latest-state.ts";
import { BOOKMARK_EVERY_MS } from "../object-watcher.ts";
import { reachRevision } from "../reach-revision.ts";
import { parseResourceVersion } from "../resource-version.ts";
import { refusalOf } from "../store-refusal.ts";
import { WatchFeed, type WatchStep } from "../watch-feed.ts";
import { MAX_BYTES_AT_ONCE, type ValueEvent, type ValueWatchRequest } from "./keyvalue-stores.ts";
import { KEYVALUE_RESOURCE } from "./namespace-quota.ts";
import { storedValue } from "./replicated-key-values.ts";
import { assertStoreName, partsOf, type StoreAddress, storeValues } from "./value-key.ts";

interface ValueWatchOptions {
  readonly store: Store;
  readonly clock: Clock;
}

/** Events handed over at once. */
const MAX_EVENTS_AT_ONCE = 1_000;

/**
 * What happens to the keys of a store. Begins with those that are there unless it goes on from a
 * revision; then a bookmark; then every change once and in order.
 */
export function watchValues(
  options: ValueWatchOptions,
  at: StoreAddress,
  request: ValueWatchRequest,
): AsyncIterable<readonly ValueEvent[]> {
  assertStoreName(at.store);
  const after = parseResourceVersion(request.resourceVersion);
  return eventsOf(options, storeValues(at) + (request.prefix ?? ""), after, request.signal);
}

async function* eventsOf(
  { store, clock }: ValueWatchOptions,
  prefix: string,
  after: Revision | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly ValueEvent[], void, undefined> {
  const initial = after === undefined || after === 0;
  await latestState(store);
  if (!initial) await reachRevision(after, { store, clock, signal });
  // List and revision are read in one go, so that they are of the same moment.
  const start = initial ? store.revision : after;
  const present = initial ? store.list(prefix) : [];
  yield* inBatches(present.map((kv): ValueEvent => ({ type: "ADDED", item: storedValue(kv) })));
  if (initial) yield [{ type: "BOOKMARK", revision: start }];
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  try {
    const events = store.watch(prefix, start, { signal: either });
    const feed = new WatchFeed({ events, store, clock, signal: either });
    feed.tickAfter(BOOKMARK_EVERY_MS);
    let delivered = start;
    for (;;) {
      const step = await feed.take();
      if (step.type === "end") return;
      if (step.type === "tick") feed.tickAfter(BOOKMARK_EVERY_MS);
      const told = toldOf(step, delivered);
      delivered = lastOf(told) ?? delivered;
      yield* inBatches(told);
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "compacted") {
      throw refusalOf(error, KEYVALUE_RESOURCE, "");
    }
    throw expired(`too old resource version: ${start} (${store.compactedRevision})`);
  } finally {
    stopped.abort();
  }
}

/** A slow reader must not have much of a large store copied for it. */
function* inBatches(events: readonly ValueEvent[]): Generator<readonly ValueEvent[]> {
  let batch: ValueEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const more = "item" in event ? event.item.value.length : 0;
    const full = batch.length >= MAX_EVENTS_AT_ONCE || bytes + more > MAX_BYTES_AT_ONCE;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(event);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

function toldOf(
  step: Exclude<WatchStep, { readonly type: "end" }>,
  delivered: Revision,
): readonly ValueEvent[] {
  switch (step.type) {
    case "failed":
      throw step.error;
    case "events":
      return step.events.map(valueEvent);
    case "tick": {
      if (!step.settled || step.revision < delivered) return [];
      return [{ type: "BOOKMARK", revision: step.revision }];
    }
    default:
      return unreachable(step);
  }
}

function valueEvent({ type, kv }: StoreWatchEvent): ValueEvent {
  if (type === "delete") {
    return { type: "DELETED", key: partsOf(kv.key).key, revision: kv.modRevision };
  }
  return { type: kv.version === 1 ? "ADDED" : "MODIFIED", item: storedValue(kv) };
}

function lastOf(events: readonly ValueEvent[]): Revision | undefined {
  const last = events.at(-1);
  if (last === undefined) return undefined;
  return "item" in last ? last.item.revision : last.revision;
}
