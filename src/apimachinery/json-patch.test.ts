import { describe, expect, test } from "bun:test";
import { applyJsonPatch, MAX_JSON_PATCH_OPERATIONS } from "./json-patch.ts";
import { StatusError } from "./status-error.ts";

function refusal(document: unknown, patch: unknown): string {
  try {
    applyJsonPatch(document, patch);
  } catch (error) {
    if (!(error instanceof StatusError)) return String(error);
    const cause = error.status.details?.causes?.[0];
    const why = cause === undefined ? error.message : `${cause.field}: ${cause.message}`;
    return `${error.code} ${why}`;
  }
  return "accepted";
}

describe("applyJsonPatch", () => {
  const document = { a: { b: 1 }, list: [1, 2, 3], "x/y": { "t~": 0 } };

  test("applyJsonPatch: adds fields and items, in the middle and at the end", () => {
    const patch = [
      { op: "add", path: "/a/c", value: { d: null } },
      { op: "add", path: "/list/1", value: "new" },
      { op: "add", path: "/list/-", value: 4 },
      { op: "add", path: "/list/5", value: 5 },
    ];
    expect(applyJsonPatch(document, patch)).toMatchObject({
      a: { b: 1, c: { d: null } },
      list: [1, "new", 2, 3, 4, 5],
    });
  });

  test("applyJsonPatch: removes, replaces, moves and copies", () => {
    const patch = [
      { op: "remove", path: "/list/0" },
      { op: "replace", path: "/list/0", value: "two" },
      { op: "move", from: "/a/b", path: "/moved" },
      { op: "copy", from: "/list", path: "/copied" },
      { op: "add", path: "/copied/-", value: "own" },
    ];
    expect(applyJsonPatch(document, patch)).toMatchObject({
      a: {},
      list: ["two", 3],
      moved: 1,
      copied: ["two", 3, "own"],
    });
  });

  test("applyJsonPatch: leaves the document as it is", () => {
    const before = structuredClone(document);
    applyJsonPatch(document, [{ op: "add", path: "/list/-", value: 4 }]);
    expect(document).toEqual(before);
  });

  test("applyJsonPatch: reads escaped pointers", () => {
    expect(applyJsonPatch(document, [{ op: "test", path: "/x~1y/t~0", value: 0 }])).toEqual(
      document,
    );
  });

  test("applyJsonPatch: takes the whole document with an empty path", () => {
    expect(applyJsonPatch(document, [{ op: "replace", path: "", value: { z: 1 } }])).toEqual({
      z: 1,
    });
  });

  test("applyJsonPatch: test compares deeply and takes null for absent", () => {
    expect(refusal(document, [{ op: "test", path: "/a", value: { b: 1 } }])).toBe("accepted");
    expect(refusal(document, [{ op: "test", path: "/gone", value: null }])).toBe("accepted");
    expect(refusal(document, [{ op: "test", path: "/a/b", value: 2 }])).toBe(
      "422 /a/b: test failed",
    );
    expect(refusal(document, [{ op: "test", path: "/gone", value: 1 }])).toStartWith("422 /gone");
  });

  test("applyJsonPatch: answers 422 when the patch does not fit", () => {
    const misfits = [
      { op: "remove", path: "/nope" },
      { op: "replace", path: "/nope", value: 1 },
      { op: "add", path: "/nope/x", value: 1 },
      { op: "add", path: "/list/9", value: 1 },
      { op: "add", path: "/list/01", value: 1 },
      { op: "add", path: "/list/x", value: 1 },
      { op: "add", path: "/a/b/c", value: 1 },
      { op: "remove", path: "/list/-" },
      { op: "remove", path: "" },
      { op: "move", from: "/a", path: "/a/b" },
      { op: "copy", from: "/nope", path: "/x" },
      { op: "add", path: "nope", value: 1 },
      { op: "remove", path: "/a/constructor" },
    ];
    for (const operation of misfits) {
      expect([operation, refusal(document, [operation])]).toEqual([
        operation,
        expect.stringContaining("422"),
      ]);
    }
    expect(() => applyJsonPatch(document, [{ op: "remove", path: "/nope" }])).toThrow(
      "the server rejected our request due to an error in our request",
    );
  });

  test("applyJsonPatch: answers 400 for what is no patch", () => {
    const wrong = [
      {},
      [1],
      [{ op: "add", path: "/a" }],
      [{ op: "add", value: 1 }],
      [{ op: "move", path: "/a" }],
      [{ op: "jump", path: "/a" }],
    ];
    for (const patch of wrong) expect(refusal(document, patch)).toStartWith("400 error decoding");
  });

  test("applyJsonPatch: bounds the number of operations", () => {
    const test = { op: "test", path: "/a/b", value: 1 };
    const patch = Array.from({ length: MAX_JSON_PATCH_OPERATIONS + 1 }, () => test);
    expect(refusal(document, patch.slice(1))).toBe("accepted");
    expect(refusal(document, patch)).toBe(
      "413 Request entity is too large: " +
        "The allowed maximum operations in a JSON patch is 10000, got 10001",
    );
  });

  test("applyJsonPatch: bounds what copies add", () => {
    const doubling = Array.from({ length: 60 }, () => ({ op: "copy", from: "/l", path: "/l/-" }));
    expect(refusal({ l: ["x"] }, doubling)).toStartWith("413");
  });

  test("applyJsonPatch: cannot reach a prototype", () => {
    const patch = [{ op: "add", path: "/__proto__/polluted", value: true }];
    expect(refusal({}, patch)).toStartWith("422");
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    const own = applyJsonPatch({}, [{ op: "add", path: "/__proto__", value: 1 }]);
    expect(JSON.stringify(own)).toBe('{"__proto__":1}');
  });
});
