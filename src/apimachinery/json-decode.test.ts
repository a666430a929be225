import { describe, expect, test } from "bun:test";
import { jsonDecode, JsonError, MAX_JSON_DEPTH } from "./json-decode.ts";

function failure(text: string, options: Parameters<typeof jsonDecode>[1] = {}): string {
  try {
    jsonDecode(text, options);
  } catch (error) {
    return error instanceof JsonError ? `${error.code}: ${error.message}` : String(error);
  }
  return "accepted";
}

function duplicates(text: string): readonly string[] {
  return jsonDecode(new TextEncoder().encode(text), { duplicates: "report" }).duplicates;
}

describe("jsonDecode", () => {
  test("jsonDecode: parses bytes and text alike", () => {
    const text = '{"a":[1,2.5e3,"x\\u00e9\\"",true,null,{}]}';
    expect(jsonDecode(text).value).toEqual(JSON.parse(text));
    expect(jsonDecode(new TextEncoder().encode(text)).value).toEqual(JSON.parse(text));
  });

  test("jsonDecode: names duplicate fields with their paths, each once", () => {
    expect(duplicates('{"spec":{"replicas":1,"replicas":2}}')).toEqual([
      'duplicate field "spec.replicas"',
    ]);
    expect(duplicates('{"a":[{"b":1},{"b":1,"\\u0062":2}],"a":0,"a":1}')).toEqual([
      'duplicate field "a[1].b"',
      'duplicate field "a"',
    ]);
    expect(duplicates('{"a":":","b":"{\\"a\\":1}","c":"\\\\"}')).toEqual([]);
    expect(duplicates('{"__proto__":1,"__proto__":2}')).toHaveLength(1);
  });

  test("jsonDecode: finds duplicates inside a value that a later duplicate hides", () => {
    expect(duplicates('{"a":{"x":1,"x":2},"a":{"x":1}}')).toEqual([
      'duplicate field "a.x"',
      'duplicate field "a"',
    ]);
  });

  test("jsonDecode: the last duplicate counts", () => {
    expect(jsonDecode('{"a":1,"a":2}').value).toEqual({ a: 2 });
    expect(jsonDecode('{"a":1,"a":2}').duplicates).toEqual([]);
  });

  test("jsonDecode: says what is wrong in the words of Go's decoder", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["", "unexpected end of JSON input"],
      ["{", "unexpected end of JSON input"],
      ['{"a":', "unexpected end of JSON input"],
      ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
      ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
      ['{"a" 1}', "invalid character '1' after object key"],
      ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
      ["[1 2]", "invalid character '2' after array element"],
      ["[1,]", "invalid character ']' looking for beginning of value"],
      ["{} x", "invalid character 'x' after top-level value"],
      ["nul", "unexpected end of JSON input"],
      ["nope", "invalid character 'o' in literal null (expecting 'u')"],
      ['"a\nb"', "invalid character '\\n' in string literal"],
      ['"\\x"', "invalid character 'x' in string escape code"],
      ['"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"],
      ["-", "unexpected end of JSON input"],
      ["'a'", "invalid character '\\'' looking for beginning of value"],
      ["apiVersion: v1", "invalid character 'a' looking for beginning of value"],
    ];
    for (const [text, message] of cases) {
      expect([text, failure(text)]).toEqual([text, `syntax: ${message}`]);
    }
  });

  test("jsonDecode: bounds the depth, before it parses", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(failure(nested(MAX_JSON_DEPTH))).toBe("accepted");
    expect(failure(nested(MAX_JSON_DEPTH + 1))).toBe("too-deep: exceeded max depth");
    expect(failure("[".repeat(1_000_000))).toBe("too-deep: exceeded max depth");
    expect(failure(`"${"[".repeat(5000)}"`)).toBe("accepted");
    expect(failure('{"a":{"b":{}}}', { maxDepth: 2 })).toBe("too-deep: exceeded max depth");
  });

  test("jsonDecode: bounds the size", () => {
    expect(failure('"12345678"', { maxBytes: 9 })).toBe("too-large: limit is 9");
    expect(failure('"12345678"', { maxBytes: 10 })).toBe("accepted");
  });

  test("jsonDecode: survives strings that never end", () => {
    expect(failure('{"a":"\\')).toBe("syntax: unexpected end of JSON input");
    expect(failure('"\\\\\\"')).toBe("syntax: unexpected end of JSON input");
  });

  test("jsonDecode: reads controls that JSON allows in strings", () => {
    expect(duplicates('{"\u007f":1,"\u007f":2}')).toEqual(['duplicate field "\u007f"']);
  });
});
