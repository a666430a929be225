import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { MODULES } from "./testing/start-worker.ts";
import { REFUSED_GROWTH, trackGrowth } from "./track-growth.ts";

/** Whole engines lie among the packages; to check those takes seconds and shows nothing more. */
const MAX_MODULE_BYTES = 2 * 1024 * 1024;

/** `(memory 1 2)` and an exported function "f" that grows it by its argument. */
const GROWER = Buffer.from(
  "0061736d01000000" +
    "0106016001" +
    "7f017f" +
    "03020100" +
    "050401010102" +
    "07050101660000" +
    "0a0801060020004000" +
    "0b",
  "hex",
);

function instanceOf(bytes: Uint8Array): WebAssembly.Exports {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  return new WebAssembly.Instance(module).exports;
}

describe("trackGrowth", () => {
  test("trackGrowth lets growth go on as before and remembers a refusal", () => {
    const tracked = trackGrowth(GROWER);
    expect(tracked).toBeDefined();
    const { f, [REFUSED_GROWTH]: refused } = instanceOf(tracked ?? GROWER);
    const grow = f as (pages: number) => number;
    const seen = refused as WebAssembly.Global;
    expect([grow(0), seen.value]).toEqual([1, 0]);
    expect([grow(1), seen.value]).toEqual([1, 0]);
    expect([grow(1), seen.value]).toEqual([-1, 1]);
    expect([grow(0), seen.value]).toEqual([2, 1]);
  });

  test("trackGrowth leaves a module alone that never grows, or that it cannot decode", () => {
    expect(trackGrowth(Buffer.from("0061736d01000000", "hex"))).toBeUndefined();
    const unknown = Buffer.from(GROWER.toString("hex").replace("20004000", "ff004000"), "hex");
    expect(trackGrowth(unknown)).toBeUndefined();
  });

  test("trackGrowth gives valid modules for what compilers make", () => {
    const modules = Object.values(MODULES);
    const root = join(import.meta.dir, "..", "..", "..", "..", "node_modules");
    for (const path of new Glob("**/*.wasm").scanSync(root)) {
      if (statSync(join(root, path)).size <= MAX_MODULE_BYTES) modules.push(join(root, path));
    }
    for (const path of modules) {
      const bytes = readFileSync(path);
      if (!WebAssembly.validate(bytes)) continue;
      const tracked = trackGrowth(bytes);
      if (tracked === undefined) continue;
      expect([path, WebAssembly.validate(tracked as Uint8Array<ArrayBuffer>)]).toEqual([
        path,
        true,
      ]);
    }
  }, 30_000);
});
