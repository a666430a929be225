import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import type { Lease } from "../api/index.ts";
import { createClient } from "./client.ts";
import { runLeaderElection } from "./leader-election.ts";
import { LEASES } from "./resources.ts";
import { failure, FakeApi } from "./testing/fake-api.ts";

function setUp() {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test" });
  const leading = new Set<string>();
  const candidate = (identity: string) => {
    const stop = new AbortController();
    const done = runLeaderElection(
      {
        client,
        clock,
        random: new SeededRandom(identity.length),
        logger: silentLogger,
        namespace: "kube-system",
        name: "x",
        identity,
        signal: stop.signal,
      },
      (signal) =>
        new Promise((resolve) => {
          leading.add(identity);
          signal.addEventListener("abort", () => {
            leading.delete(identity);
            resolve();
          });
        }),
    );
    return { stop, done };
  };
  const lease = () => api.all<Lease>(LEASES)[0]?.spec;
  return { clock, api, candidate, leading, lease };
}

describe("runLeaderElection", () => {
  test("runLeaderElection: one leads; the next takes over when it ends cleanly", async () => {
    const { clock, candidate, leading, lease } = setUp();
    const first = candidate("one");
    await drainMicrotasks();
    const second = candidate("three");
    await clock.advanceAsync(60_000, 500);
    expect([...leading]).toEqual(["one"]);
    first.stop.abort();
    await first.done;
    await clock.advanceAsync(4000, 500);
    expect([...leading]).toEqual(["three"]);
    expect(lease()).toMatchObject({ holderIdentity: "three", leaseTransitions: 1 });
    second.stop.abort();
    await second.done;
    expect(lease()?.holderIdentity).toBe("");
  });

  test("runLeaderElection: a leader cut off steps down before another may start", async () => {
    const { clock, api, candidate, leading } = setUp();
    const first = candidate("one");
    await drainMicrotasks();
    const second = candidate("three");
    await clock.advanceAsync(5000, 500);
    let most = 0;
    api.fault = (request) =>
      cutOff(request) ? failure(503, "ServiceUnavailable", "partition") : undefined;
    let cut = true;
    function cutOff(request: Request): boolean {
      return cut && (request.method === "PUT" || leading.size === 0);
    }
    for (let round = 0; round < 80; round++) {
      await clock.advanceAsync(250);
      most = Math.max(most, leading.size);
      if (leading.size === 0) cut = false;
    }
    expect(most).toBe(1);
    expect(leading.size).toBe(1);
    first.stop.abort();
    second.stop.abort();
    await Promise.all([first.done, second.done]);
  });

  test("runLeaderElection: two that start at once never both lead", async () => {
    const { clock, candidate, leading } = setUp();
    const all = ["a", "bb", "ccc"].map(candidate);
    for (let round = 0; round < 20; round++) {
      await clock.advanceAsync(500);
      expect(leading.size).toBe(1);
    }
    for (const { stop } of all) stop.abort();
    await clock.advanceAsync(1000);
    await Promise.all(all.map(({ done }) => done));
  });
});
