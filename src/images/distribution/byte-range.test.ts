import { describe, expect, test } from "bun:test";
import { parseContentRange, parseRange } from "./byte-range.ts";

describe("parseRange", () => {
  test.each([
    ["bytes=0-0", { first: 0, last: 0 }],
    ["bytes=2-", { first: 2, last: 9 }],
    ["bytes=-3", { first: 7, last: 9 }],
    ["bytes=-30", { first: 0, last: 9 }],
    ["bytes=5-50", { first: 5, last: 9 }],
    ["bytes=10-", "unsatisfiable" as const],
    ["bytes=-0", "unsatisfiable" as const],
    ["bytes=5-2", undefined],
    ["bytes=-", undefined],
    ["bytes=0-1,3-4", undefined],
    ["items=0-1", undefined],
    [null, undefined],
  ])("parseRange reads %p of ten bytes", (field, range) => {
    expect(parseRange(field, 10)).toEqual(range);
  });
});

describe("parseContentRange", () => {
  test("parseContentRange takes the form of uploads and that of HTTP", () => {
    expect(parseContentRange("0-9")).toEqual({ first: 0, last: 9 });
    expect(parseContentRange("bytes 5-9/*")).toEqual({ first: 5, last: 9 });
    expect(parseContentRange("9-5")).toBeUndefined();
    expect(parseContentRange("x")).toBeUndefined();
  });
});
