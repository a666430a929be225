import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { importMemory, MAX_POOLED, MemoryPool, POOL_MODULE } from "./memory-pool.ts";
import { MODULES } from "./testing/start-worker.ts";

describe("importMemory", () => {
  test("importMemory makes valid modules that import what they defined", () => {
    for (const path of Object.values(MODULES)) {
      const rewritten = importMemory(readFileSync(path));
      const module = new WebAssembly.Module(
        (rewritten?.bytes ?? Buffer.of()) as Buffer<ArrayBuffer>,
      );
      expect(WebAssembly.Module.imports(module)).toContainEqual(
        expect.objectContaining({ module: POOL_MODULE, name: "memory", kind: "memory" }),
      );
    }
  });

  test("importMemory leaves a module without a memory alone", () => {
    expect(importMemory(Buffer.from("0061736d01000000", "hex"))).toBeUndefined();
  });
});

describe("MemoryPool", () => {
  test("MemoryPool gives a memory again, with nothing in it", () => {
    const pool = new MemoryPool({ initial: 1, maximum: 2 });
    const memory = pool.take();
    new Uint8Array(memory.buffer).fill(7);
    pool.give(memory);
    const again = pool.take();
    expect(again).toBe(memory);
    expect(new Uint8Array(again.buffer).every((byte) => byte === 0)).toBe(true);
    expect(pool.take()).not.toBe(memory);
  });

  test("MemoryPool drops a memory that grew, and those beyond its limit", () => {
    const pool = new MemoryPool({ initial: 1, maximum: 2 });
    const grown = pool.take();
    grown.grow(1);
    pool.give(grown);
    expect(pool.take()).not.toBe(grown);
    const many = Array.from({ length: MAX_POOLED + 1 }, () => pool.take());
    for (const memory of many) pool.give(memory);
    expect(new Set(many.map(() => pool.take())).has(many[MAX_POOLED] ?? grown)).toBe(false);
    // Each memory reserves address space, which is slow in a process that has many already.
  }, 30_000);
});
