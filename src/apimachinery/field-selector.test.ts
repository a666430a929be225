import { describe, expect, test } from "bun:test";
import { exactFieldValue, matchesFields, parseFieldSelector } from "./field-selector.ts";

describe("FieldSelector", () => {
  test("parseFieldSelector: knows =, == and !=, and skips empty terms", () => {
    expect(parseFieldSelector("a=1,b==2,,c!=3")).toEqual([
      { field: "a", operator: "=", value: "1" },
      { field: "b", operator: "=", value: "2" },
      { field: "c", operator: "!=", value: "3" },
    ]);
    expect(parseFieldSelector("")).toEqual([]);
  });

  test("parseFieldSelector: reads escaped commas, equals signs and backslashes", () => {
    const [term] = parseFieldSelector(String.raw`a=x\,y\=z\\`);
    expect(term?.value).toBe(String.raw`x,y=z` + "\\");
  });

  test("parseFieldSelector: refuses what it cannot read", () => {
    expect(() => parseFieldSelector("a")).toThrow("invalid selector: 'a'; can't understand 'a'");
    expect(() => parseFieldSelector("a=b=c")).toThrow("invalid field selector");
    expect(() => parseFieldSelector(String.raw`a=\x`)).toThrow("invalid escape sequence");
  });

  test("matchesFields: a missing field counts as empty", () => {
    const fields = { "spec.nodeName": "", "status.phase": "Running" };
    expect(matchesFields(parseFieldSelector("spec.nodeName="), fields)).toBe(true);
    expect(matchesFields(parseFieldSelector("status.phase!=Running"), fields)).toBe(false);
    expect(matchesFields(parseFieldSelector("other!=x"), fields)).toBe(true);
  });

  test("exactFieldValue: gives the value that must be", () => {
    const selector = parseFieldSelector("metadata.name=x,a!=b");
    expect(exactFieldValue(selector, "metadata.name")).toBe("x");
    expect(exactFieldValue(selector, "a")).toBeUndefined();
  });
});
