import { expect, test } from "bun:test";
import { CONFIG_MAPS } from "../api/index.ts";
import { drainMicrotasks } from "../lib/index.ts";
import type { Revision } from "../store/index.ts";
import { BOOKMARK_EVERY_MS } from "./object-watcher.ts";
import { REACH_WITHIN_MS } from "./reach-revision.ts";
import type { ResourceRegistry } from "./resource-registry.ts";
import { configMap, memoryRegistry } from "./testing/registry-fixture.ts";
import type { WatchEvent, WatchRequest } from "./watch-objects.ts";

const NAMESPACE = "default";

function text(event: WatchEvent): string {
  if (event.type === "BOOKMARK") {
    return `BOOKMARK ${event.revision}${event.initialEventsEnd ? " end" : ""}`;
  }
  const { metadata, data } = event.stored.object as ReturnType<typeof configMap>;
  const value = (data as Record<string, string>)["v"] ?? "";
  return `${event.type} ${metadata.name} ${value} @${metadata.resourceVersion}`;
}

/** Follows a watch in the background; `seen` grows, `stop` ends it. */
function follow(maps: ResourceRegistry, request: Omit<WatchRequest, "signal" | "namespace">) {
  const stopped = new AbortController();
  const seen: string[] = [];
  const ended = (async () => {
    const events = maps.watch({ namespace: NAMESPACE, ...request, signal: stopped.signal });
    try {
      for await (const batch of events) seen.push(...batch.map(text));
    } catch (error) {
      seen.push(`ERROR ${(error as Error).message}`);
    }
  })();
  return {
    seen,
    async stop() {
      stopped.abort();
      await ended;
    },
  };
}

function labelled(name: string, value: string, tier: string) {
  const object = configMap(name, { v: value });
  object.metadata.labels = { tier };
  return object;
}

test("watch: starts with what exists, then tells every change in order", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create(NAMESPACE, configMap("a", { v: "1" }));
  const watch = follow(maps, {});
  await drainMicrotasks();
  await maps.update(NAMESPACE, "a", () => configMap("a", { v: "2" }));
  await maps.create(NAMESPACE, configMap("b", { v: "1" }));
  await maps.delete(NAMESPACE, "a");
  await drainMicrotasks();
  await watch.stop();
  expect(watch.seen).toEqual(["ADDED a 1 @2", "MODIFIED a 2 @3", "ADDED b 1 @4", "DELETED a 2 @5"]);
});

test("watch: from a resourceVersion tells only what came later", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create(NAMESPACE, configMap("a", { v: "1" }));
  await maps.update(NAMESPACE, "a", () => configMap("a", { v: "2" }));
  const watch = follow(maps, { resourceVersion: "2" });
  await drainMicrotasks();
  await watch.stop();
  expect(watch.seen).toEqual(["MODIFIED a 2 @3"]);
});

test("watch: shows entering and leaving a selection as ADDED and DELETED", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create(NAMESPACE, labelled("a", "1", "x"));
  const watch = follow(maps, { resourceVersion: "2", labelSelector: "tier=y" });
  await drainMicrotasks();
  await maps.update(NAMESPACE, "a", () => labelled("a", "2", "y"));
  await maps.update(NAMESPACE, "a", () => labelled("a", "3", "y"));
  await maps.update(NAMESPACE, "a", () => labelled("a", "4", "x"));
  await maps.delete(NAMESPACE, "a");
  await drainMicrotasks();
  await watch.stop();
  expect(watch.seen).toEqual(["ADDED a 2 @3", "MODIFIED a 3 @4", "DELETED a 3 @5"]);
});

test("watch: ends the initial events with a bookmark when asked", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create(NAMESPACE, configMap("a", { v: "1" }));
  const watch = follow(maps, {
    sendInitialEvents: true,
    resourceVersionMatch: "NotOlderThan",
    allowWatchBookmarks: true,
  });
  await drainMicrotasks();
  await watch.stop();
  expect(watch.seen).toEqual(["ADDED a 1 @2", "BOOKMARK 2 end"]);
});

test("watch: tells an idle watcher where it stands", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  const watch = follow(maps, { resourceVersion: "1", allowWatchBookmarks: true });
  await drainMicrotasks();
  await maps.create(NAMESPACE, configMap("a", { v: "1" }));
  await fixture.clock.advanceAsync(BOOKMARK_EVERY_MS, 5_000);
  await watch.stop();
  expect(watch.seen).toEqual(["ADDED a 1 @2", "BOOKMARK 2"]);
});

test("watch: says that the past is gone, and that the future is not here", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create(NAMESPACE, configMap("a"));
  await maps.create(NAMESPACE, configMap("b"));
  await fixture.store.compact(3 as Revision);
  const late = follow(maps, { resourceVersion: "1" });
  const early = follow(maps, { resourceVersion: "99" });
  await fixture.clock.advanceAsync(2 * REACH_WITHIN_MS, 100);
  await late.stop();
  await early.stop();
  expect(late.seen).toEqual(["ERROR too old resource version: 1 (3)"]);
  expect(early.seen).toEqual(["ERROR Timeout: Too large resource version: 99, current: 3"]);
});
