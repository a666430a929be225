import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import { type PodMemory, PodWorker } from "./pod-worker.ts";

/** More turns of the microtask queue than a worker needs to come to rest. */
const TURNS = 20;

describe("PodWorker", () => {
  test("PodWorker: a poke in the very moment in which it comes to rest is not lost", async () => {
    const syncs: number[] = [];
    for (let turns = 0; turns < TURNS; turns++) {
      let count = 0;
      const worker = new PodWorker({
        memory: {} as PodMemory,
        sync: async () => {
          count++;
          return { finished: false };
        },
        onFinished: () => undefined,
        clock: new ManualClock(),
        logger: silentLogger,
      });
      worker.poke();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      worker.poke();
      await drainMicrotasks();
      syncs.push(count);
    }
    expect(syncs).toEqual(Array(TURNS).fill(2));
  });
});
