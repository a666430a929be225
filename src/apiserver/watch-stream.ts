import { internalError, StatusError } from "../apimachinery/index.ts";
import { randomInteger } from "../lib/index.ts";
import { answerHeaders } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import { integerOf } from "./query-options.ts";

/** Without timeoutSeconds a watch lives between half an hour and an hour. */
const MIN_WATCH_SECONDS = 1800;
/** How long a watch without events keeps its client waiting for the head of the answer. */
export const HEAD_WITHIN_MS = 50;
const encoder = new TextEncoder();

export interface Watched<Event> {
  /** Throws at once, before the answer starts, when what was asked for makes no sense. */
  watch(signal: AbortSignal): AsyncIterable<readonly Event[]>;
  /** One line, its end included. */
  encode(event: Event): Uint8Array;
  /** The lines of events that happened together. */
  join?(lines: readonly Uint8Array[]): Uint8Array;
}

/** A watch as JSON lines, one an event, until `timeoutSeconds` passed or its client ends it. */
export function answerWatch<Event>(api: ApiRequest, watched: Watched<Event>): Response {
  const { query, context, request } = api;
  const stopped = new AbortController();
  const events = watched.watch(stopped.signal);
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
  const lines = (group: readonly Event[]): Uint8Array => {
    const encoded = group.map((event) => watched.encode(event));
    return watched.join?.(encoded) ?? Buffer.concat(encoded);
  };
  const body = streamOf(events, { lines, stop, api });
  return new Response(body, { headers: answerHeaders({ ...api.media, format: "json" }) });
}

interface StreamOptions<Event> {
  lines(group: readonly Event[]): Uint8Array;
  stop(): void;
  readonly api: ApiRequest;
}

/** Pulled by the connection, so that a client that does not read holds up nobody but itself. */
function streamOf<Event>(
  events: AsyncIterable<readonly Event[]>,
  { lines, stop, api }: StreamOptions<Event>,
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
          } else controller.enqueue(lines(value));
        } catch (error) {
          end();
          if (cancelled) return;
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

/** Errors in a running watch are events: its status code has been sent. */
function errorLine(error: unknown, { context, definition }: ApiRequest): string {
  if (!(error instanceof StatusError)) {
    context.logger.error("a watch failed", { resource: definition.resource, error: String(error) });
  }
  const { status } = error instanceof StatusError ? error : internalError(error);
  return `${JSON.stringify({ type: "ERROR", object: status })}\n`;
}
