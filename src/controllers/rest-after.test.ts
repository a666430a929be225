import { expect, test } from "bun:test";
import { MAX_REST_MS, restAfter } from "./rest-after.ts";

test("restAfter: few objects need none, many get a bounded one", () => {
  expect([0, 1, 9, 10, 100, 500, 10_000].map(restAfter)).toEqual([
    0,
    0,
    0,
    10,
    100,
    MAX_REST_MS,
    MAX_REST_MS,
  ]);
});
