import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../../lib/index.ts";
import type { ControlConnection } from "./control-connection.ts";
import {
  MAX_CONCURRENT_LAUNCHES,
  MAX_TAKERS,
  MAX_WARM_WORKERS,
  REFILL_DELAY_MS,
  SHRINK_AFTER_MS,
  WarmPool,
} from "./warm-pool.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** Launches that a test answers one by one. */
function setUp(size: number) {
  const clock = new ManualClock();
  const launches: { resolve(worker: WorkerProcess): void; reject(error: Error): void }[] = [];
  const discarded: string[] = [];
  const ends = new Map<string, () => void>();
  let launched = 0;
  let running = 0;
  let most = 0;
  const pool = new WarmPool({
    size,
    clock,
    logger: silentLogger,
    launch: () => {
      running++;
      most = Math.max(most, running);
      return new Promise<WorkerProcess>((resolve, reject) => launches.push({ resolve, reject }));
    },
    discard: ({ id }) => void discarded.push(id),
  });
  const arrive = async (): Promise<void> => {
    const id = `w${launched++}`;
    const closed = Promise.withResolvers<void>();
    const connection = { isClosed: false, closed: closed.promise };
    ends.set(id, () => {
      connection.isClosed = true;
      closed.resolve();
    });
    running--;
    launches.shift()?.resolve({
      id,
      identity: { pid: 1, startTime: "1" },
      connection: connection as ControlConnection,
    });
    await drainMicrotasks();
  };
  const fail = async (): Promise<void> => {
    running--;
    launches.shift()?.reject(new Error("no memory"));
    await drainMicrotasks();
  };
  return { pool, clock, launches, discarded, ends, arrive, fail, most: () => most };
}

describe("WarmPool", () => {
  test("WarmPool: fills up one worker after another, after a delay", async () => {
    const { pool, clock, launches, arrive } = setUp(2);
    pool.open();
    expect(launches).toHaveLength(0);
    clock.advance(REFILL_DELAY_MS);
    expect(launches).toHaveLength(1);
    await arrive();
    expect(launches).toHaveLength(1);
    await arrive();
    clock.advance(60_000);
    expect([pool.ready, launches.length]).toEqual([2, 0]);
  });

  test("WarmPool: a taken worker is replaced", async () => {
    const { pool, clock, launches, arrive } = setUp(1);
    pool.open();
    clock.advance(REFILL_DELAY_MS);
    await arrive();
    expect((await pool.take()).id).toBe("w0");
    expect(launches).toHaveLength(0);
    clock.advance(REFILL_DELAY_MS);
    expect(launches).toHaveLength(1);
  });

  test("WarmPool: more takers than workers start them, a few at a time", async () => {
    const { pool, arrive, most } = setUp(1);
    pool.open();
    const taken = Array.from({ length: 5 }, () => pool.take());
    for (let index = 0; index < 5; index++) await arrive();
    const workers = await Promise.all(taken);
    expect(workers.map(({ id }) => id)).toEqual(["w0", "w1", "w2", "w3", "w4"]);
    expect(most()).toBe(MAX_CONCURRENT_LAUNCHES);
  });

  test("WarmPool: refuses a taker beyond its limit", async () => {
    const { pool } = setUp(0);
    const waiting = Array.from({ length: MAX_TAKERS }, () => pool.take().catch(() => undefined));
    expect(await pool.take().catch((error: unknown) => error)).toMatchObject({ code: "exhausted" });
    pool.close();
    await Promise.all(waiting);
  });

  test("WarmPool: a launch that failed goes to its taker, and refills slow down", async () => {
    const { pool, clock, launches, fail } = setUp(1);
    pool.open();
    const taken = pool.take().catch(String);
    await fail();
    expect(await taken).toContain("no memory");
    clock.advance(REFILL_DELAY_MS);
    expect(launches).toHaveLength(0);
    clock.advance(2000);
    expect(launches).toHaveLength(1);
    await fail();
    clock.advance(3999);
    expect(launches).toHaveLength(0);
    clock.advance(1);
    expect(launches).toHaveLength(1);
  });

  test("WarmPool: a worker that ended while it waited is not handed out", async () => {
    const { pool, clock, ends, arrive, discarded, launches } = setUp(1);
    pool.open();
    clock.advance(REFILL_DELAY_MS);
    await arrive();
    ends.get("w0")?.();
    const taken = pool.take();
    await drainMicrotasks();
    expect(launches).toHaveLength(1);
    await arrive();
    expect((await taken).id).toBe("w1");
    expect(discarded.length).toBeLessThanOrEqual(1);
  });

  test("WarmPool: close ends who waits, and a late arrival", async () => {
    const { pool, clock, arrive, discarded } = setUp(2);
    pool.open();
    clock.advance(REFILL_DELAY_MS);
    await arrive();
    pool.close();
    await arrive();
    expect(discarded).toEqual(["w0", "w1"]);
    expect(clock.pending).toBe(0);
  });

  test("WarmPool: a burst makes it larger, up to a bound, and quiet smaller again", async () => {
    const { pool, clock, launches, discarded, arrive } = setUp(1);
    pool.open();
    const burst = Array.from({ length: 2 * MAX_WARM_WORKERS }, () => pool.take());
    for (const _ of burst) await arrive();
    await Promise.all(burst);
    clock.advance(REFILL_DELAY_MS);
    while (launches.length > 0) await arrive();
    expect(pool.ready).toBe(MAX_WARM_WORKERS);
    clock.advance(SHRINK_AFTER_MS - REFILL_DELAY_MS - 1);
    void pool.take();
    clock.advance(REFILL_DELAY_MS);
    await arrive();
    expect(pool.ready).toBe(MAX_WARM_WORKERS);
    for (let left = MAX_WARM_WORKERS - 1; left >= 1; left--) {
      clock.advance(SHRINK_AFTER_MS);
      expect(pool.ready).toBe(left);
    }
    clock.advance(2 * SHRINK_AFTER_MS);
    expect(pool.ready).toBe(1);
    expect(discarded).toHaveLength(MAX_WARM_WORKERS - 1);
  });
});
