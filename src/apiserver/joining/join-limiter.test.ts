import { expect, test } from "bun:test";
import { ManualClock } from "../../lib/index.ts";
import { JoinLimiter, MAX_ADDRESSES } from "./join-limiter.ts";

const perAddress = { burst: 3, refillMs: 1_000 };
const overall = { burst: 5, refillMs: 100 };

test("JoinLimiter: gives each address its tries, and one back after the other", () => {
  const clock = new ManualClock();
  const limiter = new JoinLimiter({ clock, perAddress, overall: { burst: 100, refillMs: 1 } });
  expect([1, 2, 3].map(() => limiter.take("a"))).toEqual([0, 0, 0]);
  expect(limiter.take("a")).toBe(1_000);
  expect(limiter.take("b")).toBe(0);
  clock.advance(400);
  expect(limiter.take("a")).toBe(600);
  clock.advance(600);
  expect([limiter.take("a"), limiter.take("a")]).toEqual([0, 1_000]);
  clock.advance(60_000);
  expect([1, 2, 3, 4].map(() => limiter.take("a"))).toEqual([0, 0, 0, 1_000]);
});

test("JoinLimiter: all together have a limit; who is over his own spends none of it", () => {
  const clock = new ManualClock();
  const limiter = new JoinLimiter({ clock, perAddress, overall });
  for (let count = 0; count < 20; count++) limiter.take("loud");
  expect([limiter.take("a"), limiter.take("b")]).toEqual([0, 0]);
  expect(limiter.take("c")).toBe(100);
  clock.advance(100);
  expect(limiter.take("c")).toBe(0);
});

test("JoinLimiter: remembers so many addresses, and forgets the one that was quiet longest", () => {
  const clock = new ManualClock();
  const unbounded = { burst: 1_000_000, refillMs: 1 };
  const limiter = new JoinLimiter({ clock, perAddress, overall: unbounded });
  for (let count = 0; count < 4; count++) limiter.take("first");
  for (let index = 1; index < MAX_ADDRESSES; index++) limiter.take(`other-${index}`);
  expect(limiter.take("first")).toBe(1_000);
  for (let index = 0; index < MAX_ADDRESSES; index++) limiter.take(`more-${index}`);
  expect(limiter.take("first")).toBe(0);
});
