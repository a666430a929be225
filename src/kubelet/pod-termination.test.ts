import { describe, expect, test } from "bun:test";
import type { Client } from "../client/index.ts";
import { drainMicrotasks, ManualClock } from "../lib/index.ts";
import {
  type ContainerRuntime,
  type ContainerStatus,
  RuntimeError,
  type StopOptions,
} from "../runtime/index.ts";
import { PodEvents } from "./pod-events.ts";
import { endedPhase, PodTermination } from "./pod-termination.ts";
import { PodVolumes } from "./pod-volumes.ts";

function setUp() {
  const clock = new ManualClock();
  const closing = new AbortController();
  const stops: StopOptions[] = [];
  const events: string[] = [];
  const stopped = Promise.withResolvers<void>();
  const runtime = {
    stopContainer: (_id: string, options: StopOptions) => {
      stops.push(options);
      return stopped.promise;
    },
    endpoint: () => undefined,
    execSync: () => Promise.reject(new RuntimeError("unsupported", "exec: no second program")),
  } as unknown as ContainerRuntime;
  const termination = new PodTermination({
    client: {} as Client,
    runtime,
    events: new PodEvents({
      event: (_object, _type, reason, message) => void events.push(`${reason}: ${message}`),
      flushed: () => Promise.resolve(),
    }),
    volumes: new PodVolumes("/nonexistent"),
    clock,
    hostIp: "127.0.0.1",
    closing: closing.signal,
  });
  const status = { id: "app#0", name: "app", state: "running" } as ContainerStatus;
  const stop = (preStop: object, graceSeconds: number) =>
    termination.stop(
      {
        metadata: { name: "web" },
        spec: { containers: [{ name: "app", lifecycle: { preStop } }] },
      },
      { sandboxes: [], containers: [status] },
      { status, message: "Stopping container app", graceSeconds },
    );
  return { clock, closing, stops, events, stopped, stop };
}

/** A pod of one main container and two sidecars, and what is being stopped of it. */
function sidecarPod() {
  const clock = new ManualClock();
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const grace = new Map<string, number>();
  const runtime = {
    stopContainer: (id: string, { gracePeriodMs }: StopOptions) => {
      const end = Promise.withResolvers<void>();
      ends.set(id, end);
      grace.set(id, gracePeriodMs);
      return end.promise;
    },
  } as unknown as ContainerRuntime;
  const closing = new AbortController().signal;
  const made = {
    client: {} as Client,
    volumes: new PodVolumes("/nonexistent"),
    clock,
    hostIp: "127.0.0.1",
    closing,
  };
  const recorder = new PodEvents({ event: () => undefined, flushed: () => Promise.resolve() });
  const stopping = new PodTermination({ ...made, runtime, events: recorder });
  const containers = ["first", "second", "app"].map(
    (name) => ({ id: name, name, state: "running" }) as ContainerStatus,
  );
  const initContainers = ["first", "second"].map((name) => ({ name, restartPolicy: "Always" }));
  const pod = { metadata: {}, spec: { initContainers, containers: [{ name: "app" }] } };
  const stopAll = (graceSeconds: number) =>
    stopping.stopAll(pod, { sandboxes: [], containers }, graceSeconds);
  return { clock, ends, grace, stopAll };
}

describe("PodTermination", () => {
  test("PodTermination: a preStop sleep counts against the grace period", async () => {
    const { clock, stops, stop, stopped, events } = setUp();
    const done = stop({ sleep: { seconds: 10 } }, 30);
    await drainMicrotasks();
    expect([events, stops]).toEqual([["Killing: Stopping container app"], []]);
    clock.advance(10_000);
    await drainMicrotasks();
    expect(stops).toEqual([{ gracePeriodMs: 20_000 }]);
    stopped.resolve();
    await done;
  });

  test("PodTermination: a hook that cannot be run is told, and the stop goes on", async () => {
    const { stops, stop, stopped, events } = setUp();
    stopped.resolve();
    await stop({ exec: { command: ["x"] } }, 5);
    expect(events[1]).toContain("FailedPreStopHook: PreStopHook failed: exec: no second program");
    expect(stops).toEqual([{ gracePeriodMs: 5000 }]);
  });

  test("PodTermination: without a grace period no hook is run", async () => {
    const { stops, stop, stopped } = setUp();
    stopped.resolve();
    await stop({ sleep: { seconds: 10 } }, 0);
    expect(stops).toEqual([{ gracePeriodMs: 0 }]);
  });

  test("PodTermination: a kubelet that ends does not wait for the program", async () => {
    const hook = setUp();
    const inHook = hook.stop({ sleep: { seconds: 20 } }, 30).catch(String);
    hook.closing.abort();
    expect(await inHook).toContain("the kubelet ends");
    const stopping = setUp();
    const inStop = stopping.stop({ sleep: { seconds: 1 } }, 30).catch(String);
    await stopping.clock.advanceAsync(1000);
    expect(stopping.stops).toHaveLength(1);
    stopping.closing.abort();
    expect(await inStop).toContain("the kubelet ends");
  });
});

describe("PodTermination with sidecars", () => {
  test("PodTermination: sidecars end after the main containers, the last first", async () => {
    const { ends, stopAll } = sidecarPod();
    const done = stopAll(30);
    for (const name of ["app", "second", "first"]) {
      await drainMicrotasks();
      expect([...ends.keys()].at(-1)).toBe(name);
      ends.get(name)?.resolve();
    }
    await done;
  });

  test("PodTermination: a sidecar does not wait for longer than the grace period", async () => {
    const { clock, ends, grace, stopAll } = sidecarPod();
    const done = stopAll(10);
    await drainMicrotasks();
    await clock.advanceAsync(10_000);
    expect([...grace]).toEqual([
      ["app", 10_000],
      ["second", 2000],
      ["first", 2000],
    ]);
    for (const end of ends.values()) end.resolve();
    await done;
  });
});

describe("endedPhase", () => {
  test("endedPhase: Succeeded only when every container ended with 0", () => {
    const ended = (...codes: number[]) => ({
      containerStatuses: codes.map((exitCode, index) => ({
        name: `c${index}`,
        image: "",
        imageID: "",
        ready: false,
        restartCount: 0,
        state: { terminated: { exitCode } },
      })),
    });
    expect(endedPhase(ended(0, 0))).toBe("Succeeded");
    expect(endedPhase(ended(0, 143))).toBe("Failed");
    expect(endedPhase({})).toBe("Failed");
    expect(endedPhase({ ...ended(1), phase: "Succeeded" })).toBe("Succeeded");
  });
});
