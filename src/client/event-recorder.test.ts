import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import type { Event, Pod } from "../api/index.ts";
import { createClient } from "./client.ts";
import { BURST_PER_OBJECT, SIMILAR_EVENTS_LIMIT } from "./event-correlator.ts";
import {
  createEventRecorder,
  EVENT_BURST,
  EVENT_INTERVAL_MS,
  MAX_PENDING_EVENTS,
} from "./event-recorder.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { EVENTS } from "./resources.ts";
import { failure, FakeApi } from "./testing/fake-api.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", namespace: "default", uid: "u1", resourceVersion: "9" },
};

function setUp() {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test" });
  const recorder = createEventRecorder({
    client,
    clock,
    logger: silentLogger,
    component: "kubelet",
    host: "n1",
  });
  return { clock, api, recorder, events: () => api.all<Event>(EVENTS) };
}

describe("createEventRecorder", () => {
  test("createEventRecorder: writes what kubectl describe shows", async () => {
    const { recorder, events } = setUp();
    recorder.event(pod, "Normal", "Started", "Started container web");
    await recorder.flushed();
    expect(events()[0]).toMatchObject({
      metadata: { namespace: "default", name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) },
      involvedObject: { apiVersion: "v1", kind: "Pod", name: "a", uid: "u1" },
      type: "Normal",
      reason: "Started",
      message: "Started container web",
      count: 1,
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      source: { component: "kubelet", host: "n1" },
      reportingComponent: "kubelet",
    });
  });

  test("createEventRecorder: told again, an event only counts", async () => {
    const { clock, recorder, events } = setUp();
    for (let round = 0; round < 3; round++) {
      recorder.event(pod, "Warning", "BackOff", "restarting");
      clock.advance(60_000);
      await recorder.flushed();
    }
    expect(events().map(({ count, lastTimestamp }) => [count, lastTimestamp])).toEqual([
      [3, "2026-01-01T00:02:00Z"],
    ]);
  });

  test("createEventRecorder: the same of two containers are two events", async () => {
    const { recorder, events } = setUp();
    for (const name of ["app", "web"]) {
      const container = { kind: "Pod", namespace: "default", name: "a", uid: "u1" };
      const about = { ...container, fieldPath: `spec.containers{${name}}` };
      recorder.event(about, "Normal", "Created", "Container created");
    }
    await recorder.flushed();
    expect(events().map(({ involvedObject, count }) => [involvedObject.fieldPath, count])).toEqual([
      ["spec.containers{app}", 1],
      ["spec.containers{web}", 1],
    ]);
  });

  test("createEventRecorder: an event that expired in the store is made anew", async () => {
    const { api, recorder, events } = setUp();
    recorder.event(pod, "Normal", "Pulled", "x");
    await recorder.flushed();
    for (const event of events()) api.remove(EVENTS, event);
    recorder.event(pod, "Normal", "Pulled", "x");
    await recorder.flushed();
    expect(events().map(({ count }) => count)).toEqual([2]);
  });

  test("createEventRecorder: many that differ only in the message become one", async () => {
    const { recorder, events } = setUp();
    for (let round = 0; round < SIMILAR_EVENTS_LIMIT + 5; round++) {
      recorder.event(pod, "Normal", "Created", `number ${round}`);
    }
    await recorder.flushed();
    expect(events().length).toBe(SIMILAR_EVENTS_LIMIT);
    expect(events().at(-1)?.message).toStartWith("(combined from similar events): ");
    expect(events().at(-1)?.count).toBe(6);
  });

  test("createEventRecorder: one object cannot flood the store", async () => {
    const { api, recorder } = setUp();
    for (let round = 0; round < 100; round++) recorder.event(pod, "Normal", `R${round}`, "x");
    await recorder.flushed();
    expect(api.requests.length).toBe(BURST_PER_OBJECT);
  });

  test("createEventRecorder: drops what exceeds the queue, and never throws", async () => {
    const { api, clock, recorder } = setUp();
    api.fault = () => failure(403, "Forbidden", "no");
    for (let round = 0; round < MAX_PENDING_EVENTS + 10; round++) about(recorder, round);
    recorder.event({ metadata: {} }, "Normal", "R", "about nothing");
    const flushed = recorder.flushed().then(() => "done");
    const later = (): Promise<string> => clock.advanceAsync(EVENT_INTERVAL_MS).then(() => "later");
    while ((await Promise.race([flushed, later()])) !== "done");
    expect(api.requests.length).toBe(MAX_PENDING_EVENTS);
  });

  test("createEventRecorder: sends a burst at once and the rest evenly", async () => {
    const { api, clock, recorder } = setUp();
    for (let round = 0; round < 3 * EVENT_BURST; round++) about(recorder, round);
    for (let round = 0; round < EVENT_BURST; round++) await drainMicrotasks();
    expect(api.requests.length).toBe(EVENT_BURST);
    await clock.advanceAsync(1000, 20);
    expect(api.requests.length).toBe(EVENT_BURST + 1000 / EVENT_INTERVAL_MS);
  });

  function about(recorder: EventRecorder, number: number): void {
    const metadata = { ...pod.metadata, name: `p${number}`, uid: `u${number}` };
    recorder.event({ ...pod, metadata }, "Normal", "R", "x");
  }
});
