import { beforeEach, describe, expect, test } from "bun:test";
import type { HostClock } from "../host/host-clock.ts";
import type { ComponentCode } from "./component-code.ts";
import {
  ComponentPool,
  IDLE_INSTANCE_MS,
  MAX_CALLS,
  MAX_RESTING_RESOURCES,
  MAX_WAITING_REQUESTS,
  SPARE_INSTANCES,
  type PooledInstance,
} from "./component-pool.ts";

const MEMORY_BYTES = 1000;

/** Time that only passes when told. */
class HandClock implements HostClock {
  #nowMs = 0;
  readonly #timers = new Map<() => void, number>();

  realtimeNs = () => 0n;
  cpuNs = () => 0n;
  monotonicNs = () => BigInt(this.#nowMs) * 1_000_000n;
  nextTurn = (callback: () => void) => callback();

  after(delayMs: number, callback: () => void): () => void {
    this.#timers.set(callback, this.#nowMs + delayMs);
    return () => this.#timers.delete(callback);
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const [callback, atMs] of this.#timers) {
      if (atMs > this.#nowMs) continue;
      this.#timers.delete(callback);
      callback();
    }
  }
}

describe("ComponentPool", () => {
  let clock: HandClock;
  let made: number;
  let closed: number;
  let resources: number;
  let failure: Error | undefined;
  beforeEach(() => {
    clock = new HandClock();
    [made, closed, resources, failure] = [0, 0, 0, undefined];
  });

  function newPool(
    limits: {
      instances?: number;
      memoryLimitBytes?: number;
      freshInstances?: boolean;
    } = {},
  ): ComponentPool {
    const code = {
      instantiate: async () => {
        made++;
        if (failure !== undefined) throw failure;
        return { exports: {}, memoryBytes: MEMORY_BYTES, refusedGrowth: undefined };
      },
    };
    const host = {
      imports: {},
      incoming: () => {
        throw new Error("nobody calls");
      },
      get resources() {
        return resources;
      },
      close: () => void closed++,
    };
    return new ComponentPool({
      code: code as unknown as ComponentCode,
      host: { instance: () => host, close: () => undefined },
      clock,
      instances: limits.instances ?? 4,
      memoryLimitBytes: limits.memoryLimitBytes,
      freshInstances: limits.freshInstances ?? false,
    });
  }

  async function take(pool: ComponentPool): Promise<PooledInstance> {
    const taken = await pool.take();
    if (taken === undefined) throw new Error("too many wait");
    return taken;
  }

  test("ComponentPool uses the instance that was used last", async () => {
    const pool = newPool();
    const [first, second] = [await take(pool), await take(pool)];
    pool.give(first);
    pool.give(second);
    expect(await take(pool)).toBe(second);
    expect(made).toBe(2);
  });

  test("ComponentPool passes an instance on to who waits when there are no more", async () => {
    const pool = newPool({ instances: 1 });
    const first = await take(pool);
    const waiting = take(pool);
    expect(pool.waiting).toBe(1);
    pool.give(first);
    expect(await waiting).toBe(first);
    expect(made).toBe(1);
  });

  test("ComponentPool turns away beyond its bound", async () => {
    const pool = newPool({ instances: 1 });
    const first = await take(pool);
    const waiting = Array.from({ length: MAX_WAITING_REQUESTS }, () => take(pool));
    expect(pool.take()).toBeUndefined();
    for (const one of waiting) {
      pool.give(first);
      await one;
    }
  });

  test("ComponentPool adds none beyond the memory limit, but always has one", async () => {
    const pool = newPool({ memoryLimitBytes: 2.5 * MEMORY_BYTES });
    await Promise.all([take(pool), take(pool)]);
    void pool.take();
    expect([pool.size, pool.waiting]).toEqual([2, 1]);
    const small = newPool({ memoryLimitBytes: 1 });
    await take(small);
    expect(small.size).toBe(1);
  });

  test("ComponentPool replaces an instance that is dropped", async () => {
    const pool = newPool({ instances: 1 });
    const first = await take(pool);
    const waiting = take(pool);
    pool.drop(first);
    pool.drop(first);
    expect(await waiting).not.toBe(first);
    expect([made, closed]).toEqual([2, 1]);
    // Whoever dropped it may still give it back: it is gone all the same.
    pool.give(first);
    expect(pool.size).toBe(1);
  });

  test("ComponentPool keeps an instance that grew by nothing in many calls", async () => {
    const pool = newPool();
    const first = await take(pool);
    first.calls = 1;
    pool.give(first);
    expect(await take(pool)).toBe(first);
    first.calls = MAX_CALLS;
    pool.give(first);
    expect(await take(pool)).toBe(first);
    expect(first.calls).toBeLessThan(MAX_CALLS);
    // As if its memory had been smaller at its first call.
    [first.calls, first.memoryBytesAtFirst] = [MAX_CALLS, MEMORY_BYTES - 1];
    pool.give(first);
    expect([pool.size, closed]).toEqual([0, 1]);
  });

  test("ComponentPool replaces an instance that forgets handles, not while it sends", async () => {
    const pool = newPool();
    const first = await take(pool);
    resources = MAX_RESTING_RESOURCES + 1;
    first.calls = MAX_CALLS;
    first.streams = 1;
    pool.give(first);
    expect(await take(pool)).toBe(first);
    first.streams = 0;
    pool.give(first);
    expect([pool.size, closed]).toEqual([0, 1]);
    expect(await take(pool)).not.toBe(first);
  });

  test("ComponentPool gives only fresh instances when asked to, some made ahead", async () => {
    const pool = newPool({ freshInstances: true });
    const first = await take(pool);
    first.calls = 1;
    pool.give(first);
    await Promise.resolve();
    expect([closed, made, pool.size]).toEqual([1, 1 + SPARE_INSTANCES, SPARE_INSTANCES]);
    expect((await take(pool)).calls).toBe(0);
    expect([pool.learn("works"), pool.reuse]).toEqual([false, "never"]);
  });

  test("ComponentPool gives only fresh instances while it suspects the used ones", async () => {
    const pool = newPool();
    const [used, busy, fresh] = [await take(pool), await take(pool), await take(pool)];
    [used.calls, busy.calls] = [1, 1];
    for (const one of [used, fresh]) pool.give(one);
    pool.learn("suspect");
    expect([closed, pool.size]).toEqual([1, 2]);
    pool.learn("untried");
    pool.give(busy);
    expect(await take(pool)).toBe(busy);
    expect(await take(pool)).toBe(fresh);
    expect([pool.learn("works"), pool.learn("never"), pool.reuse]).toEqual([true, false, "works"]);
  });

  test("ComponentPool tells who waits why no instance could be made, and tries again", async () => {
    const pool = newPool();
    failure = new Error("no start");
    const failed = await take(pool).catch((error: unknown) => error);
    expect(String(failed)).toContain("no start");
    expect([pool.size, closed]).toEqual([0, 1]);
    failure = undefined;
    await take(pool);
  });

  test("ComponentPool lets idle instances go, except for the last", async () => {
    const pool = newPool();
    const taken = await Promise.all([take(pool), take(pool), take(pool)]);
    for (const one of taken) pool.give(one);
    clock.pass(IDLE_INSTANCE_MS);
    expect([pool.size, closed]).toEqual([1, 2]);
    clock.pass(10 * IDLE_INSTANCE_MS);
    expect(pool.size).toBe(1);
  });
});
