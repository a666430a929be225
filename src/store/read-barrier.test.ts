import { describe, expect, test } from "bun:test";
import { StoreError } from "../mvcc/index.ts";
import type { LogIndex } from "../raft/index.ts";
import { DECISION_MS } from "./proposals.ts";
import { HOPELESS_MS, ReadBarrier } from "./read-barrier.ts";
import { refusal } from "./testing/refusal.ts";

const index = 7 as LogIndex;

describe("ReadBarrier", () => {
  test("ReadBarrier: many ask once, and wait for what is confirmed to be applied", async () => {
    const barrier = new ReadBarrier(100);
    const passed: number[] = [];
    const reads = [1, 2, 3].map(async (number) => {
      await barrier.add(0);
      passed.push(number);
    });
    const context = barrier.ask(0);
    expect(barrier.unasked).toBe(false);
    barrier.answer([{ context: context - 1, index }]);
    barrier.applied(9);
    await Promise.resolve();
    expect(passed).toEqual([]);
    barrier.answer([{ context, index }]);
    barrier.applied(6);
    await Promise.resolve();
    expect(passed).toEqual([]);
    barrier.applied(7);
    await Promise.all(reads);
    expect(passed).toEqual([1, 2, 3]);
    expect(barrier.waiting).toBe(false);
  });

  test("ReadBarrier: asks again, under a new context, what nobody answered", async () => {
    const barrier = new ReadBarrier(100);
    const read = barrier.add(0);
    const first = barrier.ask(0);
    barrier.askAnew();
    expect(barrier.unasked).toBe(true);
    const second = barrier.ask(10);
    barrier.sweep(500);
    expect(barrier.unasked).toBe(false);
    barrier.sweep(510);
    expect(barrier.unasked).toBe(true);
    const third = barrier.ask(510);
    expect(new Set([first, second, third]).size).toBe(3);
    // An answer to an older question says less than was asked since.
    barrier.answer([{ context: first, index }]);
    barrier.applied(7);
    expect(barrier.waiting).toBe(true);
    barrier.answer([{ context: third, index }]);
    barrier.applied(7);
    await read;
  });

  test("ReadBarrier: is quick to give up once it gave up, until somebody leads again", async () => {
    const barrier = new ReadBarrier(100);
    const first = refusal(barrier.add(0));
    barrier.sweep(DECISION_MS);
    expect(await first).toMatchObject({ code: "unavailable" });
    const second = refusal(barrier.add(DECISION_MS));
    barrier.sweep(DECISION_MS + HOPELESS_MS);
    expect(await second).toMatchObject({ code: "unavailable" });
    barrier.askAnew();
    const third = barrier.add(DECISION_MS);
    barrier.sweep(2 * DECISION_MS - 1);
    barrier.answer([{ context: barrier.ask(2 * DECISION_MS - 1), index }]);
    barrier.applied(index);
    await third;
  });

  test("ReadBarrier: refuses as overloaded when too many wait, until some left", async () => {
    const barrier = new ReadBarrier(100, { maxWaiting: 2 });
    const reads = [barrier.add(0), barrier.add(0)];
    expect(await refusal(barrier.add(0))).toMatchObject({ code: "overloaded" });
    // Whatever its state, a read counts until it is settled: asked, confirmed, asked anew.
    barrier.answer([{ context: barrier.ask(0), index }]);
    expect(await refusal(barrier.add(0))).toMatchObject({ code: "overloaded" });
    barrier.applied(index);
    await Promise.all(reads);
    const late = [refusal(barrier.add(0)), refusal(barrier.add(0))];
    barrier.sweep(DECISION_MS);
    expect(await late[1]).toMatchObject({ code: "unavailable" });
    const closing = [refusal(barrier.add(0)), refusal(barrier.add(0))];
    barrier.ask(0);
    barrier.rejectAll(new StoreError("closed", "the store is closed"));
    expect(await closing[0]).toMatchObject({ code: "closed" });
    const last = [barrier.add(0), barrier.add(0)];
    expect(await refusal(barrier.add(0))).toMatchObject({ code: "overloaded" });
    barrier.answer([{ context: barrier.ask(0), index }]);
    barrier.applied(index);
    await Promise.all(last);
  });

  test("ReadBarrier: gives up after ten seconds", async () => {
    const barrier = new ReadBarrier(100);
    const refused = refusal(barrier.add(0));
    barrier.sweep(DECISION_MS - 1);
    expect(barrier.waiting).toBe(true);
    barrier.sweep(DECISION_MS);
    expect(await refused).toMatchObject({ code: "unavailable" });
    expect(barrier.waiting).toBe(false);
  });
});
