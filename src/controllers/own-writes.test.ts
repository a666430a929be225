import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { createClient, createInformer, PODS } from "../client/index.ts";
import { FakeApi } from "../client/testing/fake-api.ts";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import { OwnWrites } from "./own-writes.ts";

const pod = (name: string): Pod => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [] },
});

async function setUp() {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test" });
  const informer = createInformer(client, PODS, { clock, logger: silentLogger });
  const stop = new AbortController();
  informer.start(stop.signal);
  await informer.synced();
  await drainMicrotasks();
  const writes = new OwnWrites(informer);
  const names = () =>
    writes
      .list(informer.lister.list(), () => true)
      .filter((one) => !writes.isDeleted(one))
      .map(({ metadata }) => metadata.name);
  return { api, informer, writes, names, stop };
}

describe("OwnWrites", () => {
  test("OwnWrites: a write counts until the cache has heard of it", async () => {
    const { api, informer, writes, names, stop } = await setUp();
    const made = api.seed(PODS, pod("a"));
    writes.wrote(made);
    expect(informer.lister.size).toBe(0);
    expect(names()).toEqual(["a"]);
    expect(writes.get("default", "a")?.metadata.uid).toBe(made.metadata.uid ?? "");
    await drainMicrotasks();
    expect(names()).toEqual(["a"]);
    api.remove(PODS, made);
    await drainMicrotasks();
    expect(names()).toEqual([]);
    stop.abort();
  });

  test("OwnWrites: a late answer brings nothing back", async () => {
    const { api, writes, names, stop } = await setUp();
    const made = api.seed(PODS, pod("a"));
    api.remove(PODS, made);
    await drainMicrotasks();
    writes.wrote(made);
    expect(names()).toEqual([]);
    stop.abort();
  });

  test("OwnWrites: a deletion counts at once, and is forgotten with the object", async () => {
    const { api, informer, writes, names, stop } = await setUp();
    const made = api.seed(PODS, pod("a"));
    await drainMicrotasks();
    writes.deleted(made);
    expect(names()).toEqual([]);
    api.remove(PODS, made);
    await drainMicrotasks();
    expect(writes.isDeleted(made)).toBe(false);
    writes.deleted(made);
    expect(writes.isDeleted(made)).toBe(false);
    expect(informer.lister.size).toBe(0);
    stop.abort();
  });

  test("OwnWrites: a newer state written lies over the older one cached", async () => {
    const { api, informer, writes, stop } = await setUp();
    const made = api.seed(PODS, pod("a"));
    await drainMicrotasks();
    const changed = api.change<Pod>(
      PODS,
      made,
      ({ metadata }) => void (metadata.labels = { x: "1" }),
    );
    writes.wrote(changed);
    const [seen] = writes.list(informer.lister.list(), () => true);
    expect(seen?.metadata.labels).toEqual({ x: "1" });
    expect(writes.list(informer.lister.list(), ({ metadata }) => !metadata.labels)).toEqual([]);
    stop.abort();
  });
});
