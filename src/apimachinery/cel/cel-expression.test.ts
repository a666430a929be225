import { describe, expect, test } from "bun:test";
import { CelBudget, CelCompiler } from "./cel-expression.ts";
import { celFieldName, celValue } from "./cel-values.ts";

const compiler = new CelCompiler(["self", "oldSelf"]);

function evaluate(text: string, self: unknown = {}): unknown {
  return compiler.compile(text).evaluate({ self: celValue(self), oldSelf: null });
}

describe("CelCompiler", () => {
  test.each([
    ["self.min <= self.max", { min: 1, max: 3 }],
    ["has(self.a) && !has(self.b)", { a: 1 }],
    ["self.items.all(x, x.startsWith('a'))", { items: ["ab", "ac"] }],
    ["self.?missing.orValue('d') == 'd'", {}],
    ["size(self.name) == 4", { name: "日本語x" }],
    ["self.name.matches('^[a-z]+$') && self.name.find('b+') == 'bb'", { name: "abba" }],
    ["self.list.isSorted() && self.list.sum() == 6 && self.list.max() == 3", { list: [1, 2, 3] }],
    ["sets.contains(self.list, [1, 2]) && self.list.indexOf(2) == 1", { list: [1, 2, 3] }],
    ["cidr('10.0.0.0/8').containsIP(ip('10.1.2.3')) && isIP('::1')", {}],
    ["quantity('1Gi').isGreaterThan(quantity('500Mi')) && !isQuantity('x')", {}],
    ["url('https://example.com:80/a?b=c').getHost() == 'example.com:80'", {}],
    ["self.m.all(k, self.m[k] > 0)", { m: { a: 1, b: 2 } }],
    ["'abc'.replace('b', 'x').charAt(1) == 'x'", {}],
    ["duration('1h') < duration('2h')", {}],
  ])("CelCompiler: %s is true", (text, self) => {
    expect(evaluate(text, self)).toBe(true);
  });

  test("CelCompiler: says what is wrong in one line", () => {
    expect(() => compiler.compile("self.x &&")).toThrow(/^Unexpected token: EOF$/);
    expect(() => compiler.compile("other == 1")).toThrow(/^Unknown variable: other$/);
    expect(() => evaluate("self.x > 1")).toThrow(/^No such key: x$/);
    expect(() => evaluate("self.constructor")).toThrow(/^No such key: constructor$/);
  });

  test("CelCompiler: what would take too long ends, whatever quantifiers pass over", () => {
    const self = { list: Array.from({ length: 1000 }, (_, index) => index) };
    const slow = "self.list.all(a, self.list.exists(b, self.list.exists(c, a + b + c < 0)))";
    expect(() => evaluate(slow, self)).toThrow("actual cost limit exceeded");
    const doubled = Array.from({ length: 40 }).reduce<string>(
      (text) => `cel.bind(v, ${text}, v + v)`,
      "'ab'",
    );
    expect(() => evaluate(doubled)).toThrow(/too large|cost limit/);
    const budget = new CelBudget(10);
    expect(() => compiler.compile("[1, 2, 3].map(x, x * 2)").evaluate({}, budget)).toThrow(
      "cost limit",
    );
    expect(evaluate("'a'.matches('^(a+)+$')")).toBe(true);
  });

  test("celFieldName: names that are no identifiers are written with underscores", () => {
    expect(["x-y", "a.b/c", "in", "a__b", "plain"].map(celFieldName)).toEqual([
      "x__dash__y",
      "a__dot__b__slash__c",
      "__in__",
      "a__underscores__b",
      "plain",
    ]);
  });
});
