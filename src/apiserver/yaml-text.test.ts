import { describe, expect, test } from "bun:test";
import { parseYaml, YamlTextError, yamlText } from "./yaml-text.ts";

async function refusal(text: string): Promise<string> {
  try {
    await parseYaml(text);
  } catch (error) {
    if (error instanceof YamlTextError) return error.message;
    throw error;
  }
  return "parsed";
}

describe("parseYaml", () => {
  test("parseYaml: reads scalars as YAML 1.1, but leaves dates and times texts", async () => {
    const text = "mode: 0644\non: yes\nday: 2001-01-01\nports: 80:80\nhex: 0x10\nnone: ~\n";
    const { value, duplicates } = await parseYaml(text);
    const expected = { mode: 420, true: true, day: "2001-01-01", ports: "80:80" };
    expect(value).toEqual({ ...expected, hex: 16, none: null });
    expect(duplicates).toEqual([]);
  });

  test("parseYaml: merges << and resolves aliases", async () => {
    const { value } = await parseYaml("base: &b {p: 1}\nmore: {<<: *b, q: 2}\n");
    expect(value).toEqual({ base: { p: 1 }, more: { p: 1, q: 2 } });
  });

  test("parseYaml: tells keys that are given twice; the last one counts", async () => {
    const { value, duplicates } = await parseYaml("a: 1\nb: 2\na: 3\n");
    expect(value).toEqual({ a: 3, b: 2 });
    expect(duplicates).toEqual(['yaml: line 3: key "a" already set in map']);
  });

  test("parseYaml: refuses what is no single bounded document", async () => {
    expect(await refusal("a: b: c")).toContain("Nested mappings");
    expect(await refusal("a: *nowhere")).toContain("Unresolved alias");
    expect(await refusal("a: &a [*a]")).not.toBe("parsed");
    expect(await refusal("a: 1\n---\nb: 2\n")).toContain("multiple documents");
    const aliases = Array.from({ length: 200 }, () => "*a").join(",");
    expect(await refusal(`a: &a [x]\nb: [${aliases}]`)).toContain("Excessive alias count");
  });
});

describe("yamlText", () => {
  test("yamlText: quotes what a reader would take for something else", async () => {
    const value = { z: "yes", created: "2026-11-22T18:16:03Z", mode: "0644", plain: "v1", n: 3 };
    expect(await yamlText(value)).toBe(
      'created: "2026-11-22T18:16:03Z"\nmode: "0644"\n"n": 3\nplain: v1\nz: "yes"\n',
    );
  });
});
