import { expect, test } from "bun:test";
import { ManualClock } from "../../lib/index.ts";
import {
  FORGOTTEN_AFTER_MS,
  MAX_ADDRESSES,
  RATE_WINDOW_MS,
  TrafficCounts,
} from "./traffic-counts.ts";

test("TrafficCounts: tells what is under way, the rate, and since when nothing is", () => {
  const clock = new ManualClock();
  const counts = new TrafficCounts(clock);
  const pod = counts.of("10.0.0.1");
  for (let second = 0; second < 60; second++) {
    for (let each = 0; each < 4; each++) pod.begin();
    for (let each = 0; each < 4; each++) pod.end();
    clock.advance(1_000);
  }
  const [busy] = counts.report();
  expect(busy?.requestsPerSecond).toBeCloseTo(4, 0);
  expect(busy?.inFlight).toBe(0);
  expect(busy?.idleMs).toBe(1_000);
  pod.begin();
  clock.advance(RATE_WINDOW_MS);
  expect(counts.report()[0]).toEqual({
    ip: "10.0.0.1",
    inFlight: 1,
    requestsPerSecond: 0,
    idleMs: 0,
  });
});

test("TrafficCounts: forgets what is long idle, and has a limit", () => {
  const clock = new ManualClock();
  const counts = new TrafficCounts(clock);
  counts.of("10.0.0.1").begin();
  for (let index = 0; index < MAX_ADDRESSES + 10; index++) counts.of(`x${index}`);
  expect(counts.report().length).toBe(MAX_ADDRESSES);
  clock.advance(FORGOTTEN_AFTER_MS + 1);
  expect(counts.report().map(({ ip }) => ip)).toEqual(["10.0.0.1"]);
  expect(counts.report().length).toBe(1);
});
