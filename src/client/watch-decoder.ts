import type { Status } from "../api/index.ts";
import { ApiError } from "./api-error.ts";
import type { KubeObject } from "../apimachinery/index.ts";

export type WatchEvent<T extends KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  /** Only `object.metadata.resourceVersion` is meaningful. */
  | { readonly type: "BOOKMARK"; readonly object: T };

/** Characters of one line; an object of the API cannot be larger than 3 MiB. */
export const MAX_WATCH_LINE_LENGTH = 8 * 1024 * 1024;

/**
 * Cuts a stream of bytes at its newlines; what follows the last newline was cut off and is dropped.
 * Throws when a line exceeds `maxLength` characters.
 */
export async function* decodeLines(
  body: ReadableStream<Uint8Array>,
  options: { signal?: AbortSignal | undefined; maxLength?: number } = {},
): AsyncGenerator<string, void, undefined> {
  const { signal, maxLength = MAX_WATCH_LINE_LENGTH } = options;
  const decoder = new TextDecoder();
  const reader = body.getReader();
  // An in-process server may not look at the request's signal: cancelling the body reaches it.
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener("abort", stop, { once: true });
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal?.aborted) return;
      const text = decoder.decode(value, { stream: true });
      let start = 0;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
        const line = rest + text.slice(start, end);
        rest = "";
        start = end + 1;
        if (line.length > maxLength) throw lineTooLong(maxLength);
        if (line !== "") yield line;
      }
      rest += text.slice(start);
      if (rest.length > maxLength) throw lineTooLong(maxLength);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    await reader.cancel().catch(() => undefined);
  }
}

function lineTooLong(maxLength: number): Error {
  return new Error(`a line of the watch is longer than the ${maxLength} characters allowed`);
}

/**
 * Decodes the JSON lines of a watch. An ERROR event ends it with the {@link ApiError} it carries;
 * a last line cut off in the middle counts as the end of the connection, not as an event.
 */
export async function* decodeWatch<T extends KubeObject>(
  body: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  for await (const line of decodeLines(body, { signal })) {
    const event = JSON.parse(line) as WatchEvent<T> | { type: "ERROR"; object: Status };
    if (event.type === "ERROR") throw new ApiError(event.object);
    yield event;
  }
}
