import { describe, expect, test } from "bun:test";
import { planSleep, UNKNOWN_RETRY_MS, type SleepInput } from "./plan.ts";
import { readSleepSettings } from "./settings.ts";
import { trafficOf } from "./traffic.ts";

const NOW = 1_000_000;
const AWAKE: SleepInput = {
  settings: { idleMs: 30_000 },
  replicas: 1,
  readySinceMs: [NOW - 60_000],
  traffic: { inFlight: 0, lastMs: NOW - 10_000 },
  wished: [],
  autoscaled: false,
  nowMs: NOW,
};
const CROWDED: SleepInput = {
  ...AWAKE,
  settings: { idleMs: 30_000, concurrency: { target: 10, maxReplicas: 4 } },
};

describe("planSleep", () => {
  test("planSleep: sleeps when nothing came for long enough, and looks again just then", () => {
    expect(planSleep(AWAKE)).toEqual({ type: "wait", againMs: 20_000 });
    const idle = { ...AWAKE, traffic: { inFlight: 0, lastMs: NOW - 30_000 } };
    expect(planSleep(idle)).toEqual({ type: "sleep" });
    const never = { ...AWAKE, traffic: { inFlight: 0, lastMs: 0 } };
    expect(planSleep(never)).toEqual({ type: "sleep" });
    expect(planSleep({ ...never, readySinceMs: [NOW - 1_000] })).toEqual({
      type: "wait",
      againMs: 29_000,
    });
  });

  test("planSleep: what is under way, not ready or not told keeps it awake", () => {
    const busy = { ...AWAKE, traffic: { inFlight: 1, lastMs: 0 } };
    expect(planSleep(busy)).toEqual({ type: "wait", againMs: 30_000 });
    const again = { type: "wait", againMs: UNKNOWN_RETRY_MS } as const;
    expect(planSleep({ ...AWAKE, readySinceMs: [] })).toEqual(again);
    expect(planSleep({ ...AWAKE, traffic: undefined })).toEqual(again);
    expect(planSleep({ ...AWAKE, replicas: 0 })).toEqual({ type: "wait" });
  });

  test("planSleep: concurrency adds replicas at once and takes them away later", () => {
    const traffic = { inFlight: 25, lastMs: NOW };
    expect(planSleep({ ...CROWDED, traffic })).toMatchObject({ type: "scale", replicas: 3 });
    const many = { inFlight: 2_500, lastMs: NOW };
    expect(planSleep({ ...CROWDED, traffic: many })).toMatchObject({ replicas: 4 });
    expect(planSleep({ ...CROWDED, traffic, autoscaled: true })).toMatchObject({ type: "wait" });
    const less = { ...CROWDED, replicas: 4, traffic: { inFlight: 5, lastMs: NOW } };
    const wished = [{ atMs: NOW - 50_000, replicas: 3 }];
    expect(planSleep({ ...less, wished })).toMatchObject({ type: "scale", replicas: 3 });
    expect(planSleep(less)).toMatchObject({ type: "scale", replicas: 1 });
  });
});

describe("readSleepSettings", () => {
  const read = (annotations: Record<string, string>) =>
    readSleepSettings({ metadata: { annotations } });

  test("readSleepSettings: reads durations and numbers, and says what is wrong", () => {
    const zero = "kubun.dev/scale-to-zero";
    expect(read({})).toBeUndefined();
    expect(read({ [zero]: "1m30s" })).toEqual({ idleMs: 90_000 });
    expect(read({ [zero]: "soon" })).toBe(
      'kubun.dev/scale-to-zero: "soon" is not a duration of at least 3s',
    );
    expect(read({ [zero]: "1s" })).toContain("at least 3s");
    const target = { [zero]: "30s", "kubun.dev/target-concurrency": "10" };
    expect(read(target)).toEqual({ idleMs: 30_000, concurrency: { target: 10, maxReplicas: 10 } });
    expect(read({ ...target, "kubun.dev/max-scale": "0" })).toContain("kubun.dev/max-scale");
    expect(read({ [zero]: "30s", "kubun.dev/target-concurrency": "x" })).toContain("x");
    expect(read({ [zero]: "30s", "kubun.dev/target-concurrency": "0x10" })).toContain("0x10");
    expect(read({ [zero]: "30s", "kubun.dev/max-scale": "many" })).toContain("many");
    expect(read({ "kubun.dev/target-concurrency": "10" })).toBe(
      "kubun.dev/target-concurrency means nothing without kubun.dev/scale-to-zero",
    );
  });
});

test("trafficOf: sums what all pods have, and knows nothing when a node does not tell", () => {
  const pod = (annotations: Record<string, string>) => ({ metadata: { annotations } });
  const busy = pod({
    "kubun.dev/requests-in-flight": "2",
    "kubun.dev/last-request": "1970-01-01T00:00:05.250000Z",
  });
  expect(trafficOf([busy, pod({ "kubun.dev/requests-in-flight": "1" })])).toEqual({
    inFlight: 3,
    lastMs: 5_250,
  });
  expect(trafficOf([busy, pod({ "kubun.dev/traffic-unknown": "pi" })])).toBeUndefined();
});
