import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { ManualClock, SeededRandom } from "../lib/index.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

const pod = (uid: string, priority = 0): Pod => ({
  metadata: { uid, name: uid },
  spec: { containers: [], priority },
});

function setUp() {
  const clock = new ManualClock();
  const queue = new SchedulingQueue(clock, () => undefined);
  return { clock, queue };
}

describe("SchedulingQueue", () => {
  test("SchedulingQueue: takes by priority, then by age", () => {
    const { queue } = setUp();
    const random = new SeededRandom(3);
    const pods = Array.from({ length: 200 }, (_, index) =>
      pod(`${index}`, Math.floor(random.float() * 5)),
    );
    for (const one of pods) queue.add(one);
    const wanted = pods.toSorted((a, b) => (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0));
    expect(pods.map(() => queue.pop()?.metadata.uid)).toEqual(
      wanted.map(({ metadata }) => metadata.uid),
    );
    expect(queue.pop()).toBeUndefined();
  });

  test("SchedulingQueue: a refused pod waits for its change, and for its back-off", () => {
    const { clock, queue } = setUp();
    queue.add(pod("a"));
    queue.pop();
    queue.refused("a", new Set(["node-changed"]));
    queue.wake("pod-freed");
    clock.advance(10_000);
    expect(queue.pop()).toBeUndefined();
    queue.wake("node-changed");
    expect(queue.pop()?.metadata.uid).toBe("a");
    queue.refused("a", new Set(["node-changed"]));
    queue.wake("node-changed");
    expect(queue.pop()).toBeUndefined();
    clock.advance(100);
    expect(queue.pop()?.metadata.uid).toBe("a");
  });

  test("SchedulingQueue: a change during the decision is not missed", () => {
    const { clock, queue } = setUp();
    queue.add(pod("a"));
    queue.pop();
    queue.wake("node-changed");
    queue.refused("a", new Set(["node-changed"]));
    clock.advance(50);
    expect(queue.pop()?.metadata.uid).toBe("a");
  });

  test("SchedulingQueue: looks again after five minutes without any change", () => {
    const { clock, queue } = setUp();
    queue.add(pod("a"));
    queue.pop();
    queue.refused("a", new Set(["node-changed"]));
    clock.advance(5 * 60_000);
    expect(queue.pop()?.metadata.uid).toBe("a");
  });

  test("SchedulingQueue: a pod deleted while it waits is never given, and leaves no timer", () => {
    const { clock, queue } = setUp();
    for (const uid of ["a", "b", "c"]) queue.add(pod(uid));
    queue.delete("a");
    queue.pop();
    queue.refused("b", new Set(["node-changed"]));
    queue.pop();
    queue.failed("c");
    queue.delete("b");
    queue.delete("c");
    expect(clock.pending).toBe(0);
    expect(queue.pop()).toBeUndefined();
  });

  test("SchedulingQueue: failures back off up to ten seconds", () => {
    const { clock, queue } = setUp();
    queue.add(pod("a"));
    const waits: number[] = [];
    for (let round = 0; round < 10; round++) {
      queue.pop();
      queue.failed("a");
      const startMs = clock.now();
      while (queue.pop() === undefined) clock.advance(50);
      waits.push(clock.now() - startMs);
      queue.failed("a");
      clock.advance(10_000);
    }
    expect(waits[0]).toBe(50);
    expect(Math.max(...waits)).toBe(10_000);
  });
});
