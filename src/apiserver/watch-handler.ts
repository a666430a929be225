import type { StoredObject, WatchEvent } from "../registry/index.ts";
import type { ApiRequest } from "./api-request.ts";
import { flagOf } from "./query-options.ts";
import { listRequestOf, withoutUndefined } from "./read-handler.ts";
import { type IncludeObject, includeObjectOf, partialOf, tableOf } from "./table.ts";
import { answerWatch } from "./watch-stream.ts";

const INITIAL_EVENTS_END = "k8s.io/initial-events-end";
const encoder = new TextEncoder();

type ObjectEventType = Exclude<WatchEvent["type"], "BOOKMARK">;

/** Lines that are kept for the next watcher: as many as may be on their way at a time. */
export const MAX_REMEMBERED_LINES = 1024;
/** Longer groups of lines are not kept: what one watcher missed for long, no other one wants. */
const MAX_REMEMBERED_BYTES = 256 * 1024;

/**
 * The lines of recent events, shared by all watchers of an object: a thousand watchers cost one
 * serialisation.
 */
export class WatchLines {
  /** In the order in which they were made, so that the oldest goes first. */
  readonly #lines = new Map<StoredObject, Partial<Record<ObjectEventType, Uint8Array>>>();

  /** The lines that were put together last. */
  #group: readonly Uint8Array[] = [];
  #joined = new Uint8Array(0);

  get remembered(): number {
    return this.#lines.size;
  }

  line(type: ObjectEventType, stored: StoredObject): Uint8Array {
    let lines = this.#lines.get(stored);
    if (lines === undefined) {
      lines = {};
      this.#lines.set(stored, lines);
      const [oldest] = this.#lines.keys();
      if (this.#lines.size > MAX_REMEMBERED_LINES && oldest !== undefined) {
        this.#lines.delete(oldest);
      }
    }
    return (lines[type] ??= encoder.encode(`{"type":"${type}","object":${stored.json()}}\n`));
  }

  /** Watchers that keep up are given the same lines one after the other: one copy does for all. */
  join(group: readonly Uint8Array[]): Uint8Array {
    const [only] = group;
    if (group.length === 1 && only !== undefined) return only;
    const same = group.length === this.#group.length;
    if (same && group.every((line, index) => line === this.#group[index])) return this.#joined;
    const joined = Buffer.concat(group);
    if (joined.length <= MAX_REMEMBERED_BYTES) {
      this.#group = group;
      this.#joined = joined;
    }
    return joined;
  }
}

/** A watch as a stream of JSON lines, one event each. */
export function watchObjects(api: ApiRequest, lines: WatchLines): Response {
  const { query } = api;
  const { limit: _limit, continue: _continue, ...selection } = listRequestOf(api);
  const ended = withoutUndefined({
    ...selection,
    sendInitialEvents: flagOf(query, "sendInitialEvents"),
    allowWatchBookmarks: flagOf(query, "allowWatchBookmarks"),
  });
  return answerWatch(api, {
    watch: (signal) => api.resource.watch({ ...ended, signal }),
    encode: encoderFor(api, lines),
    join: (group) => lines.join(group),
  });
}

type Encode = (event: WatchEvent) => Uint8Array;

function encoderFor(api: ApiRequest, lines: WatchLines): Encode {
  const objects = objectEncoder(api, lines);
  return (event) => {
    if (event.type !== "BOOKMARK") return objects(event.type, event.stored);
    const { definition } = api;
    const annotations = event.initialEventsEnd
      ? { annotations: { [INITIAL_EVENTS_END]: "true" } }
      : {};
    const metadata = { resourceVersion: String(event.revision), ...annotations };
    return eventLine("BOOKMARK", bookmarkObject(api, definition.kind, metadata));
  };
}

type ObjectEncode = (type: ObjectEventType, stored: StoredObject) => Uint8Array;

function objectEncoder(api: ApiRequest, lines: WatchLines): ObjectEncode {
  switch (api.media.representation) {
    case "object":
      return (type, stored) => lines.line(type, stored);
    case "partial":
      return (type, stored) => eventLine(type, partialOf(stored.object));
    case "table":
      return tableEncoder(api, includeObjectOf(api.query));
  }
}

/** Each event is a table of one row; only the first one names the columns. */
function tableEncoder({ definition, context }: ApiRequest, include: IncludeObject): ObjectEncode {
  let columns: "shown" | "left-out" = "shown";
  return (type, stored) => {
    const metadata = { resourceVersion: String(stored.revision) };
    const now = context.clock.now();
    const table = tableOf([stored.object], { definition, include, now, metadata, columns });
    columns = "left-out";
    return eventLine(type, table);
  };
}

function bookmarkObject(
  { media, definition }: ApiRequest,
  kind: string,
  metadata: Record<string, unknown>,
): Record<string, unknown> {
  const group = definition.group === "" ? "" : `${definition.group}/`;
  const type =
    media.representation === "partial"
      ? { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" }
      : { kind, apiVersion: `${group}${definition.version}` };
  if (media.representation !== "table") return { ...type, metadata };
  const row = { cells: [], object: { ...type, metadata } };
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: metadata["resourceVersion"] },
    columnDefinitions: [],
    rows: [row],
  };
}

function eventLine(type: WatchEvent["type"], object: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify({ type, object })}\n`);
}
