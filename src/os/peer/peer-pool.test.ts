import { describe, expect, test } from "bun:test";
import { drainMicrotasks } from "../../lib/index.ts";
import { PeerError } from "./peer-error.ts";
import { MAX_DIALS_PER_PEER, PeerPool } from "./peer-pool.ts";

describe("PeerPool", () => {
  const { signal } = new AbortController();

  test("PeerPool dials for those who wait, up to its limit, and goes on as dials end", async () => {
    let dials = 0;
    const pool = new PeerPool<number>(() => dials++);
    const got: number[] = [];
    for (let count = 0; count < MAX_DIALS_PER_PEER + 2; count++) {
      void pool.wait(signal).then((connection) => got.push(connection));
    }
    expect(dials).toBe(MAX_DIALS_PER_PEER);
    expect(pool.handOver(1)).toBe(true);
    pool.dialled();
    expect(dials).toBe(MAX_DIALS_PER_PEER + 1);
    // One that another request is done with serves the next in line.
    expect(pool.handOver(2)).toBe(true);
    await drainMicrotasks();
    expect(got).toEqual([1, 2]);
  });

  test("PeerPool tells all who wait that nobody is there, and dials for the next", async () => {
    let dials = 0;
    const pool = new PeerPool<number>(() => dials++);
    const waits = [pool.wait(signal), pool.wait(signal)];
    pool.failed(new PeerError("unreachable", "nobody"));
    pool.failed(new PeerError("unreachable", "nobody"));
    const outcomes = await Promise.allSettled(waits);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    const next = pool.wait(signal);
    expect(dials).toBe(3);
    pool.handOver(7);
    expect(await next).toBe(7);
  });

  test("PeerPool forgets who gave up", async () => {
    const pool = new PeerPool<number>(() => undefined);
    const abort = new AbortController();
    const waiting = pool.wait(abort.signal);
    abort.abort(new Error("enough"));
    expect(waiting).rejects.toThrow("enough");
    expect(pool.handOver(1)).toBe(false);
    await drainMicrotasks();
  });
});
