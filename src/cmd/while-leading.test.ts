import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import type { Leadership, MemberId, Term } from "../store/index.ts";
import { BEGIN_AGAIN_MS, whileLeading } from "./while-leading.ts";

function leading(term: number): Leadership {
  return { term: term as Term, leader: 1 as MemberId, self: true };
}

function following(term: number): Leadership {
  return { term: term as Term, leader: 2 as MemberId, self: false };
}

function watchTerms(initial: Leadership, failures = 0) {
  const listeners = new Set<() => void>();
  const store = {
    leadership: initial,
    onLeadership(listener: () => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
  const stopped = new AbortController();
  const happened: string[] = [];
  const clock = new ManualClock();
  let left = failures;
  whileLeading({
    store,
    clock,
    logger: silentLogger,
    signal: stopped.signal,
    begin(term, signal) {
      happened.push(`begin ${term}`);
      signal.addEventListener("abort", () => happened.push(`end ${term}`));
      return left-- > 0 ? Promise.reject(new Error("the disk is full")) : Promise.resolve();
    },
  });
  return {
    happened,
    listeners,
    clock,
    stop: () => stopped.abort(),
    change(next: Leadership) {
      store.leadership = next;
      for (const listener of listeners) listener();
    },
  };
}

describe("whileLeading", () => {
  test("whileLeading: begins at once in a store that leads, and ends with the signal", () => {
    const { happened, stop, listeners } = watchTerms(leading(3));
    expect(happened).toEqual(["begin 3"]);
    stop();
    expect(happened).toEqual(["begin 3", "end 3"]);
    expect(listeners.size).toBe(0);
  });

  test("whileLeading: runs one term at a time, and each from its beginning", () => {
    const { happened, change } = watchTerms(following(1));
    change(leading(2));
    change(leading(2));
    change(following(3));
    change(leading(4));
    change(leading(6));
    expect(happened).toEqual(["begin 2", "end 2", "begin 4", "end 4", "begin 6"]);
  });

  test("whileLeading: begins again what did not begin, while the term lasts", async () => {
    const { happened, clock, change } = watchTerms(leading(3), 2);
    await drainMicrotasks();
    await clock.advanceAsync(BEGIN_AGAIN_MS);
    expect(happened).toEqual(["begin 3", "begin 3"]);
    change(following(4));
    await clock.advanceAsync(10 * BEGIN_AGAIN_MS);
    expect(happened.filter((what) => what === "begin 3").length).toBe(2);
    change(leading(5));
    await drainMicrotasks();
    expect(happened.at(-1)).toBe("begin 5");
  });
});
