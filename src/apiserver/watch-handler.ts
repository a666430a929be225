import { internalError, StatusError } from "../apimachinery/index.ts";
import { randomInteger } from "../lib/index.ts";
import type { StoredObject, WatchEvent } from "../registry/index.ts";
import { answerHeaders } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import { flagOf, integerOf } from "./query-options.ts";
import { listRequestOf, withoutUndefined } from "./read-handler.ts";
import { type IncludeObject, includeObjectOf, partialOf, tableOf } from "./table.ts";

/** Without timeoutSeconds a watch lives between half an hour and an hour. */
const MIN_WATCH_SECONDS = 1800;

const INITIAL_EVENTS_END = "k8s.io/initial-events-end";
const encoder = new TextEncoder();

/** How long a watch without events keeps its client waiting for the head of the answer. */
export const HEAD_WITHIN_MS = 50;

type ObjectEventType = Exclude<WatchEvent["type"], "BOOKMARK">;

/** Lines that are kept for the next watcher: as many as may be on their way at a time. */
export const MAX_REMEMBERED_LINES = 1024;

/**
 * The lines of recent events, shared by all watchers of an object: a thousand watchers cost one
 * serialisation.
 */
export class WatchLines {
  /** In the order in which they were made, so that the oldest goes first. */
  readonly #lines = new Map<StoredObject, Partial<Record<ObjectEventType, Uint8Array>>>();

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
}

/** A watch as a stream of JSON lines, one event each. */
export function watchObjects(api: ApiRequest, lines: WatchLines): Response {
  const { query, context, request } = api;
  const { limit: _limit, continue: _continue, ...selection } = listRequestOf(api);
  const stopped = new AbortController();
  const ended = withoutUndefined({
    ...selection,
    sendInitialEvents: flagOf(query, "sendInitialEvents"),
    allowWatchBookmarks: flagOf(query, "allowWatchBookmarks"),
  });
  // Options that make no sense are refused here, before the answer starts.
  const events = api.resource.watch({ ...ended, signal: stopped.signal });
  const encode = encoderFor(api, lines);
  const seconds = integerOf(query, "timeoutSeconds") ?? 0;
  const timeoutSeconds =
    seconds > 0 ? seconds : MIN_WATCH_SECONDS + randomInteger(context.random, MIN_WATCH_SECONDS);
  const cancelTimer = context.clock.after(timeoutSeconds * 1000, () => stopped.abort());
  const stop = (): void => {
    cancelTimer();
    stopped.abort();
  };
  if (request.signal.aborted) stop();
  request.signal.addEventListener("abort", stop, { once: true });
  const body = streamOf(events, { encode, stop, api });
  return new Response(body, { headers: answerHeaders({ ...api.media, format: "json" }) });
}

type Encode = (event: WatchEvent) => Uint8Array;

interface StreamOptions {
  readonly encode: Encode;
  readonly stop: () => void;
  readonly api: ApiRequest;
}

/** Pulled by the connection, so that a client that does not read holds up nobody but itself. */
function streamOf(
  events: AsyncIterable<readonly WatchEvent[]>,
  { encode, stop, api }: StreamOptions,
): ReadableStream<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]();
  let cancelled = false;
  let cancelBlank = (): void => undefined;
  const end = (): void => {
    cancelBlank();
    stop();
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // Bun sends the head of an answer with the first chunk: where no event comes soon, a blank
        // in front of the first line (JSON allows it) tells the client that its watch has begun.
        cancelBlank = api.context.clock.after(HEAD_WITHIN_MS, () => {
          controller.enqueue(encoder.encode(" "));
        });
      },
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          // A stream whose reader went away may not be written or closed any more.
          if (cancelled) return;
          cancelBlank();
          if (done === true) {
            end();
            controller.close();
          } else controller.enqueue(joined(value.map(encode)));
        } catch (error) {
          end();
          controller.enqueue(encoder.encode(errorLine(error, api)));
          controller.close();
        }
      },
      cancel() {
        cancelled = true;
        end();
      },
    },
    { highWaterMark: 1 },
  );
}

function joined(lines: readonly Uint8Array[]): Uint8Array {
  const [only] = lines;
  return lines.length === 1 && only !== undefined ? only : Buffer.concat(lines);
}

/** Errors in a running watch are events: its status code has been sent. */
function errorLine(error: unknown, { context, definition }: ApiRequest): string {
  if (!(error instanceof StatusError)) {
    context.logger.error("a watch failed", { resource: definition.resource, error: String(error) });
  }
  const { status } = error instanceof StatusError ? error : internalError(error);
  return `${JSON.stringify({ type: "ERROR", object: status })}\n`;
}

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
