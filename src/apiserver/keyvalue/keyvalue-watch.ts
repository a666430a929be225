import type { StoreAddress, ValueEvent } from "../../registry/index.ts";
import type { ApiRequest } from "../api-request.ts";
import { withoutUndefined } from "../read-handler.ts";
import { answerWatch } from "../watch-stream.ts";
import { valueItem } from "./value-item.ts";

const encoder = new TextEncoder();

/** What happens in a store, as JSON lines: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR. */
export function watchStore(api: ApiRequest, at: StoreAddress): Response {
  const { query, context } = api;
  const selection = withoutUndefined({
    prefix: query.get("prefix") ?? undefined,
    resourceVersion: query.get("resourceVersion") ?? undefined,
  });
  return answerWatch(api, {
    watch: (signal) => context.registry.keyValues.watch(at, { ...selection, signal }),
    encode: (event) => encoder.encode(lineOf(event)),
  });
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
