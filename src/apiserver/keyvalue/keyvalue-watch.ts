import { internalError, StatusError } from "../../apimachinery/index.ts";
import { randomInteger } from "../../lib/index.ts";
import type { StoreAddress, ValueEvent } from "../../registry/index.ts";
import { answerHeaders } from "../answer.ts";
import type { ApiContext, ApiRequest } from "../api-request.ts";
import { integerOf } from "../query-options.ts";
import { withoutUndefined } from "../read-handler.ts";
import { HEAD_WITHIN_MS } from "../watch-handler.ts";
import { valueItem } from "./value-item.ts";

/** Without timeoutSeconds a watch lives between half an hour and an hour, as those of objects. */
const MIN_WATCH_SECONDS = 1800;
const encoder = new TextEncoder();

/** What happens in a store, as JSON lines: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR. */
export function watchStore(api: ApiRequest, at: StoreAddress): Response {
  const { query, context, request } = api;
  const stopped = new AbortController();
  const selection = withoutUndefined({
    prefix: query.get("prefix") ?? undefined,
    resourceVersion: query.get("resourceVersion") ?? undefined,
  });
  // Options that make no sense are refused here, before the answer starts.
  const events = context.registry.keyValues.watch(at, { ...selection, signal: stopped.signal });
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
  const headers = answerHeaders({ ...api.media, format: "json" });
  return new Response(streamOf(events, context, stop), { headers });
}

/** Pulled by the connection, so that a client that does not read holds up nobody but itself. */
function streamOf(
  events: AsyncIterable<readonly ValueEvent[]>,
  context: ApiContext,
  stop: () => void,
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
        // Bun sends the head of an answer with the first chunk: a client must learn at once that
        // its watch has begun, and JSON allows a blank before a line.
        cancelBlank = context.clock.after(HEAD_WITHIN_MS, () => {
          controller.enqueue(encoder.encode(" "));
        });
      },
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (cancelled) return;
          cancelBlank();
          if (done === true) {
            end();
            controller.close();
          } else controller.enqueue(encoder.encode(value.map(lineOf).join("")));
        } catch (error) {
          end();
          if (cancelled) return;
          controller.enqueue(encoder.encode(errorLine(error, context)));
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

function lineOf(event: ValueEvent): string {
  return `${JSON.stringify({ type: event.type, object: objectOf(event) })}\n`;
}

function objectOf(event: ValueEvent): Record<string, string> {
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
      return valueItem(event.item);
    case "DELETED":
      return { key: event.key, resourceVersion: String(event.revision) };
    case "BOOKMARK":
      return { resourceVersion: String(event.revision) };
  }
}

/** Errors in a running watch are events: its status code has been sent. */
function errorLine(error: unknown, { logger }: ApiContext): string {
  if (!(error instanceof StatusError)) {
    logger.error("a watch of values failed", { error: String(error) });
  }
  const { status } = error instanceof StatusError ? error : internalError(error);
  return `${JSON.stringify({ type: "ERROR", object: status })}\n`;
}
