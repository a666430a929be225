import { describe, expect, test } from "bun:test";
import { cloneJson, getField, jsonEquals, setField } from "./json-value.ts";

describe("json values", () => {
  test("jsonEquals: compares deeply, whatever the order of keys", () => {
    expect(jsonEquals({ a: [1, { b: null }], c: "x" }, { c: "x", a: [1, { b: null }] })).toBe(true);
    expect(jsonEquals({ a: undefined }, {})).toBe(true);
    expect(jsonEquals({ a: null }, {})).toBe(false);
    expect(jsonEquals([1, 2], [2, 1])).toBe(false);
    expect(jsonEquals({}, [])).toBe(false);
    expect(jsonEquals({ constructor: 1 }, {})).toBe(false);
    expect(jsonEquals({}, { toString: 1 })).toBe(false);
  });

  test("cloneJson: shares nothing with the original", () => {
    const original = { a: [{ b: 1 }], c: null };
    const copy = cloneJson(original);
    copy.a[0] = { b: 2 };
    expect(original).toEqual({ a: [{ b: 1 }], c: null });
  });

  test("getField, setField: treat every name as a field", () => {
    expect(getField({}, "constructor")).toBeUndefined();
    const object = {};
    setField(object, "__proto__", { x: 1 });
    expect(JSON.stringify(cloneJson(object))).toBe('{"__proto__":{"x":1}}');
    expect(getField(object, "__proto__")).toEqual({ x: 1 });
  });
});
