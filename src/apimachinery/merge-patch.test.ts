import { describe, expect, test } from "bun:test";
import { type Random, randomInteger, SeededRandom } from "../lib/index.ts";
import { isJsonObject, type JsonObject } from "./json-value.ts";
import { applyMergePatch } from "./merge-patch.ts";

describe("applyMergePatch", () => {
  test("applyMergePatch: gives the results of the RFC's appendix", () => {
    const cases: readonly (readonly [document: unknown, patch: unknown, result: unknown])[] = [
      [{ a: "b" }, { a: "c" }, { a: "c" }],
      [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
      [{ a: "b" }, { a: null }, {}],
      [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
      [{ a: ["b"] }, { a: "c" }, { a: "c" }],
      [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
      [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
      [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: "b", c: null }, { a: "b" }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [document, patch, result] of cases) {
      expect(applyMergePatch(document, patch)).toEqual(result);
    }
  });

  test("applyMergePatch: leaves document and patch as they are", () => {
    const document = { a: { b: 1 } };
    const patch = { a: { c: [1] } };
    const result = applyMergePatch(document, patch);
    expect(document).toEqual({ a: { b: 1 } });
    expect(result).toEqual({ a: { b: 1, c: [1] } });
  });

  test("applyMergePatch: refuses a patch that is no object", () => {
    for (const patch of [[], "x", 1, null]) {
      expect(() => applyMergePatch({}, patch)).toThrow("a merge patch is a JSON object");
    }
  });

  test("applyMergePatch: cannot reach a prototype", () => {
    const patch: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    );
    expect(JSON.stringify(applyMergePatch({}, patch))).toBe(JSON.stringify(patch));
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

describe("applyMergePatch, as a property", () => {
  test("applyMergePatch: the patch made from two documents turns one into the other", () => {
    const random = new SeededRandom(11);
    for (let round = 0; round < 500; round++) {
      const before = randomDocument(random, 3);
      const after = randomDocument(random, 3);
      expect(applyMergePatch(before, differenceOf(before, after))).toEqual(after);
    }
  });
});

function randomDocument(random: Random, depth: number): JsonObject {
  const document: JsonObject = {};
  for (const key of ["a", "b", "c"]) {
    const choice = randomInteger(random, 4);
    if (choice === 1) document[key] = randomInteger(random, 3);
    else if (choice === 2) document[key] = [randomInteger(random, 3)];
    else if (choice === 3 && depth > 0) document[key] = randomDocument(random, depth - 1);
  }
  return document;
}

function differenceOf(before: JsonObject, after: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const key of Object.keys(before)) if (!(key in after)) patch[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    patch[key] = isJsonObject(value) && isJsonObject(old) ? differenceOf(old, value) : value;
  }
  return patch;
}
