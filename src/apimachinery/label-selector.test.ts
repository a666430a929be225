import { describe, expect, test } from "bun:test";
import {
  labelSelectorFrom,
  labelSelectorOfSet,
  labelSelectorText,
  type Labels,
  matchesLabels,
  parseLabelSelector,
} from "./label-selector.ts";
import { StatusError } from "./status-error.ts";

function matching(text: string, sets: readonly Labels[]): number[] {
  const selector = parseLabelSelector(text);
  return sets.flatMap((labels, index) => (matchesLabels(selector, labels) ? [index] : []));
}

function refusal(text: string): string {
  try {
    parseLabelSelector(text);
  } catch (error) {
    expect(error).toBeInstanceOf(StatusError);
    return error instanceof StatusError ? error.message : "";
  }
  return "accepted";
}

describe("LabelSelector", () => {
  const sets = [{}, { env: "prod" }, { env: "dev", tier: "web" }, { tier: "db", n: "7" }];

  test("parseLabelSelector: understands every operator", () => {
    expect(matching("", sets)).toEqual([0, 1, 2, 3]);
    expect(matching("env=prod", sets)).toEqual([1]);
    expect(matching("env==prod", sets)).toEqual([1]);
    expect(matching("env!=prod", sets)).toEqual([0, 2, 3]);
    expect(matching("env in (prod, dev)", sets)).toEqual([1, 2]);
    expect(matching("env notin (prod)", sets)).toEqual([0, 2, 3]);
    expect(matching("env", sets)).toEqual([1, 2]);
    expect(matching("!env", sets)).toEqual([0, 3]);
    expect(matching("n>6", sets)).toEqual([3]);
    expect(matching("n<7", sets)).toEqual([]);
  });

  test("parseLabelSelector: joins requirements with and", () => {
    expect(matching(" env = dev , tier in (web,db) ", sets)).toEqual([2]);
    expect(matching("tier,!n", sets)).toEqual([2]);
  });

  test("parseLabelSelector: takes empty values", () => {
    expect(matchesLabels(parseLabelSelector("a="), { a: "" })).toBe(true);
    expect(matchesLabels(parseLabelSelector("a in (,b)"), { a: "" })).toBe(true);
    expect(matchesLabels(parseLabelSelector("a in ()"), { a: "" })).toBe(true);
  });

  test("parseLabelSelector: refuses what has no meaning, in Kubernetes' words", () => {
    expect(refusal("a in b")).toBe("unable to parse requirement: found 'b' expected: '('");
    expect(refusal("a b")).toBe(
      "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    );
    expect(refusal("a,")).toBe("found '', expected: identifier after ','");
    expect(refusal("=a")).toBe("found '=', expected: !, identifier, or 'end of string'");
    expect(refusal("a=b c")).toBe("found 'c', expected: ',' or 'end of string'");
    expect(refusal("a in (b")).toContain("expected: ',' or ')'");
    expect(refusal("a>x")).toContain("the value must be an integer");
    expect(refusal("a=b!")).toContain("found '!'");
    expect(refusal("-a=b")).toContain('key: Invalid value: "-a"');
    expect(refusal("a=-b")).toContain('values[0][a]: Invalid value: "-b"');
    expect(refusal("a".repeat(70_000))).toContain("longer than");
  });

  test("labelSelectorFrom: combines matchLabels and matchExpressions", () => {
    const selector = labelSelectorFrom({
      matchLabels: { app: "x" },
      matchExpressions: [
        { key: "env", operator: "NotIn", values: ["dev"] },
        { key: "a", operator: "Exists" },
      ],
    });
    expect(labelSelectorText(selector)).toBe("a,app=x,env notin (dev)");
    expect(matchesLabels(selector, { app: "x", a: "" })).toBe(true);
    expect(matchesLabels(selector, { app: "x", a: "", env: "dev" })).toBe(false);
  });

  test("labelSelectorFrom: a missing selector matches nothing, an empty one everything", () => {
    expect(matchesLabels(labelSelectorFrom(undefined), { a: "b" })).toBe(false);
    expect(matchesLabels(labelSelectorFrom({}), {})).toBe(true);
    expect(matchesLabels(labelSelectorFrom({}), undefined)).toBe(true);
  });

  test("labelSelectorFrom: refuses unknown operators and empty value sets", () => {
    const from = (operator: string) => () =>
      labelSelectorFrom({ matchExpressions: [{ key: "a", operator }] });
    expect(from("Equals")).toThrow('"Equals" is not a valid label selector operator');
    expect(from("In")).toThrow("values set can't be empty");
  });

  test("labelSelectorText: reads back as the same selector", () => {
    for (const text of ["a=b", "a!=b", "a", "!a", "a in (b,c)", "a notin (b)", "a>1", "a<1"]) {
      expect(labelSelectorText(parseLabelSelector(text))).toBe(text);
    }
    expect(labelSelectorText(labelSelectorOfSet({ b: "2", a: "1" }))).toBe("a=1,b=2");
  });

  test("matchesLabels: sees own labels only", () => {
    expect(matchesLabels(parseLabelSelector("constructor"), {})).toBe(false);
  });
});
