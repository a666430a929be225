import { expect, test } from "bun:test";
import { SeededRandom } from "../lib/index.ts";
import { AddressPool, NumberPool } from "./address-pool.ts";

test("NumberPool: gives each number once, and again when it is released", () => {
  const pool = new NumberPool({ from: 5, to: 9 }, new SeededRandom(1));
  const taken = [1, 2, 3, 4, 5].map(() => pool.takeAny());
  expect(new Set(taken)).toEqual(new Set([5, 6, 7, 8, 9]));
  expect(pool.takeAny()).toBeUndefined();
  pool.release(7);
  expect(pool.take(6)).toBe(false);
  expect(pool.takeAny()).toBe(7);
});

test("NumberPool: prefers the upper part, and falls back on the lower", () => {
  const pool = new NumberPool({ from: 1, to: 4 }, new SeededRandom(1));
  expect([pool.takeAny(4), pool.takeAny(4)]).toEqual([4, expect.any(Number)]);
});

test("AddressPool: keeps to the hosts of its range", () => {
  const pool = new AddressPool("127.43.0.0/30", new SeededRandom(1));
  expect(pool.first).toBe("127.43.0.1");
  expect(new Set([pool.takeAny(), pool.takeAny()])).toEqual(new Set(["127.43.0.1", "127.43.0.2"]));
  expect(pool.takeAny()).toBeUndefined();
  for (const outside of ["127.43.0.0", "127.43.0.3", "127.44.0.1", "::1", "x"]) {
    expect(pool.contains(outside)).toBe(false);
  }
  pool.release("127.43.0.2");
  expect(pool.take("127.43.0.2")).toBe(true);
});
