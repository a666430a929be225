import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import type { Pod } from "../api/index.ts";
import { createClient } from "./client.ts";
import { createInformer, LIST_PAGE_SIZE, WATCH_SILENCE_MS } from "./informer.ts";
import { PODS } from "./resources.ts";
import { SharedInformers } from "./shared-informers.ts";
import { failure, FakeApi } from "./testing/fake-api.ts";

const pod = (name: string): Pod => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [] },
});

function setUp() {
  const clock = new ManualClock();
  const random = new SeededRandom(7);
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test", clock });
  const informer = createInformer(client, PODS, { clock, random, logger: silentLogger });
  const seen: string[] = [];
  informer.addHandler({
    onAdd: (object) => seen.push(`+${object.metadata.name}`),
    onUpdate: (old, next) =>
      seen.push(
        [
          `~${next.metadata.name} ${old.metadata.resourceVersion}`,
          next.metadata.resourceVersion,
        ].join(" → "),
      ),
    onDelete: (last) => seen.push(`-${last.metadata.name}`),
  });
  const stop = new AbortController();
  return { clock, random, api, client, informer, seen, stop };
}

describe("createInformer", () => {
  test("createInformer: lists, then follows the watch", async () => {
    const { api, informer, seen, stop } = setUp();
    const a = api.seed(PODS, pod("a"));
    expect(informer.hasSynced()).toBe(false);
    informer.start(stop.signal);
    await informer.synced();
    expect(informer.hasSynced()).toBe(true);
    api.seed(PODS, pod("b"));
    api.change(PODS, a, (object) => void (object.metadata.labels = { x: "y" }));
    api.remove(PODS, a);
    await drainMicrotasks();
    expect(seen).toEqual(["+a", "+b", "~a 2 → 4", "-a"]);
    expect(informer.lister.list().map(({ metadata }) => metadata.name)).toEqual(["b"]);
    stop.abort();
  });

  test("createInformer: reads long lists in pages", async () => {
    const { api, informer, stop } = setUp();
    for (let index = 0; index < LIST_PAGE_SIZE * 2 + 1; index++) api.seed(PODS, pod(`p${index}`));
    informer.start(stop.signal);
    await informer.synced();
    expect(informer.lister.size).toBe(LIST_PAGE_SIZE * 2 + 1);
    expect(api.requests.filter((request) => request === "GET /api/v1/pods").length).toBeGreaterThan(
      2,
    );
    stop.abort();
  });

  test("createInformer: a watch that breaks resumes where it was, without a new list", async () => {
    const { clock, api, informer, seen, stop } = setUp();
    api.seed(PODS, pod("a"));
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.dropWatches();
    api.seed(PODS, pod("b"));
    await drainMicrotasks();
    const before = api.requests.length;
    await clock.advanceAsync(1000);
    expect(seen).toEqual(["+a", "+b"]);
    expect(api.requests.length).toBe(before + 1);
    stop.abort();
  });

  test("createInformer: after 410 it lists again and tells only the difference", async () => {
    const { clock, api, informer, seen, stop } = setUp();
    const a = api.seed(PODS, pod("a"));
    const b = api.seed(PODS, pod("b"));
    api.seed(PODS, pod("c"));
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.fault = () => failure(503, "ServiceUnavailable", "restarting");
    api.dropWatches();
    api.remove(PODS, a);
    api.change(PODS, b, (object) => void (object.metadata.labels = { x: "y" }));
    api.seed(PODS, pod("d"));
    await clock.advanceAsync(5000, 100);
    api.compact();
    api.fault = undefined;
    await clock.advanceAsync(120_000, 1000);
    expect(seen).toEqual(["+a", "+b", "+c", "-a", "~b 3 → 6", "+d"]);
    stop.abort();
  });

  test("createInformer: an ERROR event of 410 leads to a new list", async () => {
    const { clock, api, informer, seen, stop } = setUp();
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    const object = { kind: "Status", code: 410, reason: "Expired", message: "slow" };
    api.emit({ type: "ERROR", object });
    await drainMicrotasks();
    api.compact();
    api.seed(PODS, pod("late"));
    await clock.advanceAsync(1000, 100);
    expect(seen).toEqual(["+late"]);
    stop.abort();
  });

  test("createInformer: a name used again shows as deletion and addition", async () => {
    const { clock, api, informer, seen, stop } = setUp();
    const first = api.seed(PODS, pod("a"));
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.fault = () => failure(500, "InternalError", "down");
    api.dropWatches();
    await drainMicrotasks();
    api.remove(PODS, first);
    api.seed(PODS, pod("a"));
    api.compact();
    api.fault = undefined;
    await clock.advanceAsync(10_000, 100);
    expect(seen).toEqual(["+a", "-a", "+a"]);
    stop.abort();
  });

  test("createInformer: backs off while the server is away", async () => {
    const { clock, api, informer, stop } = setUp();
    api.fault = () => failure(503, "ServiceUnavailable", "away");
    informer.start(stop.signal);
    await clock.advanceAsync(60_000, 100);
    expect(api.requests.length).toBeLessThan(12);
    expect(api.requests.length).toBeGreaterThan(4);
    stop.abort();
  });

  test("createInformer: bookmarks move the place to resume from", async () => {
    const { clock, api, informer, stop } = setUp();
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.seed(NODE_LIKE, { metadata: { name: "other" } });
    api.emit({ type: "BOOKMARK", object: { metadata: { resourceVersion: "2" } } });
    await drainMicrotasks();
    api.compact();
    api.dropWatches();
    await clock.advanceAsync(2000, 100);
    const lists = api.requests.length;
    expect(lists).toBe(3);
    stop.abort();
  });

  test("createInformer: a watch that says nothing at all is made anew", async () => {
    const { clock, api, informer, stop } = setUp();
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.seed(NODE_LIKE, { metadata: { name: "other" } });
    const asked = api.requests.length;
    for (let minute = 0; minute < 4; minute++) {
      await clock.advanceAsync(60_000, 10_000);
      api.emit({ type: "BOOKMARK", object: { metadata: { resourceVersion: "2" } } });
      await drainMicrotasks();
    }
    expect(api.requests).toHaveLength(asked);
    await clock.advanceAsync(WATCH_SILENCE_MS, 10_000);
    expect(api.requests).toHaveLength(asked + 1);
    api.seed(PODS, pod("late"));
    await drainMicrotasks();
    expect(informer.lister.get("default", "late")).toBeDefined();
    stop.abort();
  });

  test("createInformer: a handler that throws stops neither the others nor the watch", async () => {
    const { api, informer, seen, stop } = setUp();
    informer.addHandler({
      onAdd: () => {
        throw new Error("bug");
      },
    });
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.seed(PODS, pod("a"));
    api.seed(PODS, pod("b"));
    await drainMicrotasks();
    expect(seen).toEqual(["+a", "+b"]);
    stop.abort();
  });

  test("createInformer: indexes follow changes", async () => {
    const { api, informer, stop } = setUp();
    informer.addIndex("node", (object) => [object.spec?.nodeName ?? ""]);
    const stored = api.seed(PODS, pod("a"));
    informer.start(stop.signal);
    await informer.synced();
    await drainMicrotasks();
    api.change<Pod>(
      PODS,
      stored,
      (object) => void (object.spec = { containers: [], nodeName: "n" }),
    );
    await drainMicrotasks();
    expect(informer.lister.byIndex("node", "n").length).toBe(1);
    expect(informer.lister.byIndex("node", "").length).toBe(0);
    expect(() => informer.lister.byIndex("zone", "")).toThrow("no index zone");
    stop.abort();
  });
});

const NODE_LIKE = { group: "", resource: "nodes" };

describe("SharedInformers", () => {
  test("SharedInformers: metadata is read from the full informer where there is one", () => {
    const { clock, random, client } = setUp();
    const shared = new SharedInformers({ client, clock, random, logger: silentLogger });
    const alone = shared.forMetadata(PODS);
    expect(shared.forMetadata(PODS)).toBe(alone);
    const full: unknown = shared.for(PODS);
    expect(alone === full).toBe(false);
    expect(shared.forMetadata(PODS) === full).toBe(true);
  });

  test("SharedInformers: many askers share one watch", async () => {
    const { clock, random, client, api, stop } = setUp();
    const shared = new SharedInformers({ client, clock, random, logger: silentLogger });
    const first = shared.for(PODS);
    expect(shared.for(PODS)).toBe(first);
    expect(shared.for(PODS, { view: "metadata" }).resource).toBe(PODS);
    shared.start(stop.signal);
    await shared.synced();
    await drainMicrotasks();
    expect(api.openWatches).toBe(2);
    const late: string[] = [];
    api.seed(PODS, pod("a"));
    await drainMicrotasks();
    first.addHandler({ onAdd: (object) => late.push(object.metadata.name ?? "") });
    expect(late).toEqual(["a"]);
    stop.abort();
    await drainMicrotasks();
    expect(api.openWatches).toBe(0);
  });
});
