import { describe, expect, test } from "bun:test";
import type { ComponentManifest } from "./component-manifest.ts";
import { LikelyComponents, MAX_LIKELY_BYTES, MAX_LIKELY_COMPONENTS } from "./likely-components.ts";

function manifest(sizeBytes: number): ComponentManifest {
  const file = { name: "file", sizeBytes, sha256: "" };
  const empty = { imports: [], exports: [], importKeys: [], modules: [] };
  return { ...empty, version: "", kind: "http", entry: "", code: file };
}

describe("LikelyComponents", () => {
  test("LikelyComponents: has the last ones used, each once, the newest first", () => {
    const likely = new LikelyComponents();
    for (let index = 0; index <= MAX_LIKELY_COMPONENTS; index++) {
      likely.used({ directory: `${index}` }, manifest(1));
    }
    likely.used({ directory: "2" }, manifest(1));
    expect(likely.list.map(({ directory }) => directory)).toEqual(["2", "4", "3", "1"]);
    likely.used({ directory: "2", memoryLimitBytes: 65_536 }, manifest(1));
    expect(likely.list.slice(0, 2)).toEqual([
      { directory: "2", memoryLimitBytes: 65_536 },
      { directory: "2" },
    ]);
    likely.keepOnly((directory) => directory !== "2");
    expect(likely.list.map(({ directory }) => directory)).toEqual(["4", "3"]);
  });

  test("LikelyComponents: what is large is not loaded before it is needed", () => {
    const likely = new LikelyComponents();
    likely.used({ directory: "large" }, manifest(MAX_LIKELY_BYTES + 1));
    expect(likely.list).toEqual([]);
  });
});
