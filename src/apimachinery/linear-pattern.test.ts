import { expect, test } from "bun:test";
import { LinearPattern, PatternError } from "./linear-pattern.ts";

test("LinearPattern: finds what it is, in time proportional to the text", () => {
  expect(new LinearPattern("^a+$").test("aaa")).toBe(true);
  expect(new LinearPattern("^(a+)+$").test(`${"a".repeat(5000)}b`)).toBe(false);
  expect(new LinearPattern("[0-9]+").find("a1b22c333", 2)).toEqual(["1", "22"]);
});

test("LinearPattern: says what is wrong in Go's words", () => {
  expect(() => new LinearPattern("a(")).toThrow(PatternError);
  expect(() => new LinearPattern("a(")).toThrow("error parsing regexp: missing closing ): `a(`");
});
