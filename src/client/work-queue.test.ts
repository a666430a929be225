import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import { runWorkers, WorkQueue } from "./work-queue.ts";

function setUp(options: { maxKeys?: number; onRecovered?: () => void } = {}) {
  const clock = new ManualClock();
  const queue = new WorkQueue({ clock, ...options });
  const stop = new AbortController();
  return { clock, queue, stop };
}

describe("WorkQueue", () => {
  test("WorkQueue: a key waits once and comes in order", async () => {
    const { queue, stop } = setUp();
    for (const key of ["a", "b", "a", "c"]) queue.add(key);
    expect(queue.length).toBe(3);
    const taken = [];
    for (let round = 0; round < 3; round++) taken.push(await queue.take(stop.signal));
    expect(taken).toEqual(["a", "b", "c"]);
  });

  test("WorkQueue: a key added while worked on comes again after it is done", async () => {
    const { queue, stop } = setUp();
    queue.add("a");
    await queue.take(stop.signal);
    queue.add("a");
    expect(queue.length).toBe(0);
    queue.done("a");
    expect(await queue.take(stop.signal)).toBe("a");
  });

  test("WorkQueue: back-off doubles to its limit and starts over when forgotten", () => {
    const { clock, queue } = setUp();
    const delays: number[] = [];
    for (let round = 0; round < 20; round++) {
      const before = clock.now();
      queue.addRateLimited("a");
      while (queue.length === 0) clock.advance(round < 4 ? 5 : 1000);
      delays.push(clock.now() - before);
      queue.add("b");
      drainOne(queue);
    }
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(1_000_000);
    queue.forget("a");
    expect(queue.failures("a")).toBe(0);
  });

  test("WorkQueue: of several delays the earliest counts", () => {
    const { clock, queue } = setUp();
    queue.addAfter("a", 1000);
    queue.addAfter("a", 10);
    queue.addAfter("a", 500);
    clock.advance(10);
    expect(queue.length).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("WorkQueue: a resting key comes once, after its rest, if somebody asked", async () => {
    const { clock, queue, stop } = setUp();
    queue.add("a");
    await queue.take(stop.signal);
    queue.rest("a", 500);
    for (let burst = 0; burst < 3; burst++) queue.add("a");
    queue.done("a");
    queue.add("a");
    clock.advance(499);
    expect(queue.length).toBe(0);
    clock.advance(1);
    expect(queue.length).toBe(1);
    await queue.take(stop.signal);
    queue.rest("a", 500);
    queue.done("a");
    clock.advance(500);
    expect([queue.length, clock.pending]).toEqual([0, 0]);
  });

  test("WorkQueue: a full queue refuses, and asks its owner again once it is empty", async () => {
    let recovered = 0;
    const { queue, stop } = setUp({ maxKeys: 2, onRecovered: () => recovered++ });
    expect([queue.add("a"), queue.add("b"), queue.add("c")]).toEqual([true, true, false]);
    for (const key of ["a", "b"]) {
      await queue.take(stop.signal);
      queue.done(key);
    }
    expect(recovered).toBe(1);
  });
});

function drainOne(queue: WorkQueue): void {
  const stop = new AbortController();
  for (let left = queue.length; left > 0; left--) {
    void queue.take(stop.signal).then((key) => queue.done(key ?? ""));
  }
  for (const key of ["a", "b"]) queue.done(key);
}

describe("runWorkers", () => {
  test("runWorkers: never two workers on one key, and failures come again", async () => {
    const { clock, queue, stop } = setUp();
    const running = new Set<string>();
    let attempts = 0;
    const workers = runWorkers(
      queue,
      { concurrency: 4, signal: stop.signal, logger: silentLogger },
      async (key) => {
        expect(running.has(key)).toBe(false);
        running.add(key);
        queue.add(key === "again" && attempts++ < 3 ? key : "other");
        await drainMicrotasks();
        running.delete(key);
        if (key === "fails" && attempts++ < 6) throw new Error("not yet");
      },
    );
    for (const key of ["again", "fails"]) queue.add(key);
    await clock.advanceAsync(1000, 5);
    expect(attempts).toBeGreaterThan(5);
    stop.abort();
    await workers;
  });

  test("runWorkers: a result may ask to be called again later", async () => {
    const { clock, queue, stop } = setUp();
    let calls = 0;
    const workers = runWorkers(
      queue,
      { concurrency: 1, signal: stop.signal, logger: silentLogger },
      () => Promise.resolve(++calls < 2 ? { requeueAfterMs: 1000 } : {}),
    );
    queue.add("a");
    await drainMicrotasks();
    await clock.advanceAsync(999);
    expect(calls).toBe(1);
    await clock.advanceAsync(1);
    expect(calls).toBe(2);
    stop.abort();
    await workers;
  });
});
