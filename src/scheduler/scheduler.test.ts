import { describe, expect, test } from "bun:test";
import type { Event, Node, Pod, PodSpec } from "../api/index.ts";
import { createClient, EVENTS, NODES, PODS } from "../client/index.ts";
import { failure, FakeApi } from "../client/testing/fake-api.ts";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { startScheduler } from "./scheduler.ts";

const node = (name: string, cpu = "2"): Node => ({
  metadata: { name },
  status: { allocatable: { cpu, memory: "1Gi", pods: "110" } },
});

const pod = (name: string, cpu = "100m", spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [{ name: "c", resources: { requests: { cpu } } }], ...spec },
});

async function setUp() {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test" });
  const stop = new AbortController();
  const start = async (): Promise<void> => {
    const random = new SeededRandom(5);
    startScheduler({ client, clock, random, logger: silentLogger, signal: stop.signal });
    await settle();
  };
  const settle = () => clock.advanceAsync(0).then(drainMicrotasks);
  const placed = () =>
    Object.fromEntries(
      api.all<Pod>(PODS).map(({ metadata, spec }) => [metadata.name, spec?.nodeName]),
    );
  const events = () => api.all<Event>(EVENTS).map(({ reason, message }) => `${reason} ${message}`);
  return { clock, api, stop, start, settle, placed, events };
}

describe("startScheduler", () => {
  test("startScheduler: binds what fits and tells so", async () => {
    const { api, start, settle, placed, events, stop } = await setUp();
    api.seed(NODES, node("n1"));
    await start();
    api.seed(PODS, pod("a"));
    await settle();
    expect(placed()).toEqual({ a: "n1" });
    expect(events()).toEqual(["Scheduled Successfully assigned default/a to n1"]);
    stop.abort();
  });

  test("startScheduler: says why not, once, and binds as soon as it can", async () => {
    const { clock, api, start, settle, placed, events, stop } = await setUp();
    await start();
    const stored = api.seed(PODS, pod("a", "3"));
    await settle();
    expect(events()).toEqual(["FailedScheduling no nodes available to schedule pods"]);
    api.seed(NODES, node("small"));
    await clock.advanceAsync(200, 10);
    const message =
      "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: " +
      "1 Preemption is not helpful for scheduling.";
    const [condition] = api.all<Pod>(PODS)[0]?.status?.conditions ?? [];
    expect(condition).toMatchObject({ type: "PodScheduled", reason: "Unschedulable", message });
    api.seed(NODES, node("large", "4"));
    await clock.advanceAsync(200, 10);
    expect(placed()).toEqual({ [stored.metadata.name ?? ""]: "large" });
    stop.abort();
  });

  test("startScheduler: a pod that ends makes room", async () => {
    const { clock, api, start, placed, stop } = await setUp();
    api.seed(NODES, node("n1"));
    const first = api.seed(PODS, pod("a", "2", { nodeName: "n1" }));
    api.seed(PODS, pod("b", "2"));
    await start();
    await clock.advanceAsync(1000, 50);
    expect(placed()["b"]).toBeUndefined();
    api.change<Pod>(PODS, first, (object) => void (object.status = { phase: "Succeeded" }));
    await clock.advanceAsync(1000, 50);
    expect(placed()["b"]).toBe("n1");
    stop.abort();
  });

  test("startScheduler: never gives one place to two pods, however slow the API", async () => {
    const { clock, api, start, placed, stop } = await setUp();
    api.seed(NODES, node("n1", "1"));
    api.seed(NODES, node("n2", "1"));
    for (let index = 0; index < 30; index++) api.seed(PODS, pod(`p${index}`, "250m"));
    await start();
    await clock.advanceAsync(2000, 50);
    const counts = Map.groupBy(Object.values(placed()), (nodeName) => nodeName);
    expect(counts.get("n1")?.length).toBe(4);
    expect(counts.get("n2")?.length).toBe(4);
    stop.abort();
  });

  test("startScheduler: a binding that fails gives its place back and is tried again", async () => {
    const { clock, api, start, placed, stop } = await setUp();
    api.seed(NODES, node("n1"));
    let refusals = 3;
    api.fault = (_, target) =>
      target.subresource === "binding" && refusals-- > 0
        ? failure(500, "InternalError", "no")
        : undefined;
    api.seed(PODS, pod("a", "2"));
    await start();
    await clock.advanceAsync(5000, 50);
    expect(placed()).toEqual({ a: "n1" });
    stop.abort();
  });

  test("startScheduler: evicts less important pods, and keeps their place", async () => {
    const { clock, api, start, placed, events, stop } = await setUp();
    api.seed(NODES, node("n1", "1"));
    api.seed(PODS, pod("low", "600m", { nodeName: "n1", priority: 1 }));
    api.seed(PODS, pod("other", "400m", { nodeName: "n1", priority: 9 }));
    await start();
    const high = api.seed(PODS, pod("high", "500m", { priority: 5 }));
    await clock.advanceAsync(100, 10);
    const stored = () => api.all<Pod>(PODS).find(({ metadata }) => metadata.name === "high");
    expect(stored()?.status?.nominatedNodeName).toBe("n1");
    const low = api.all<Pod>(PODS).find(({ metadata }) => metadata.name === "low");
    expect(low?.metadata.deletionTimestamp).toBeDefined();
    expect(low?.status?.conditions?.[0]).toMatchObject({
      type: "DisruptionTarget",
      reason: "PreemptionByScheduler",
    });
    expect(events()).toContain(`Preempted Preempted by pod ${high.metadata.uid} on node n1`);
    // What the victim leaves is not for whoever comes first.
    api.seed(PODS, pod("late", "500m", { priority: 4 }));
    if (low !== undefined) api.remove(PODS, low);
    await clock.advanceAsync(5000, 50);
    expect(placed()).toEqual({ high: "n1", late: undefined, other: "n1" });
    stop.abort();
  });

  test("startScheduler: leaves gated pods and those of other schedulers alone", async () => {
    const { api, start, settle, placed, stop } = await setUp();
    api.seed(NODES, node("n1"));
    api.seed(PODS, pod("other", "1m", { schedulerName: "mine" }));
    const gated = api.seed(PODS, pod("gated", "1m", { schedulingGates: [{ name: "g" }] }));
    await start();
    expect(placed()).toEqual({ other: undefined, gated: undefined });
    api.change<Pod>(PODS, gated, ({ spec }) => void delete spec?.schedulingGates);
    await settle();
    expect(placed()).toEqual({ other: undefined, gated: "n1" });
    stop.abort();
  });

  test("startScheduler: is at rest when nothing happens", async () => {
    const { clock, api, start, stop } = await setUp();
    api.seed(NODES, node("n1"));
    api.seed(PODS, pod("big", "64"));
    await start();
    await clock.advanceAsync(1000, 100);
    const before = api.requests.length;
    await clock.advanceAsync(200_000, 5000);
    expect(api.requests.length).toBe(before);
    stop.abort();
  });
});
