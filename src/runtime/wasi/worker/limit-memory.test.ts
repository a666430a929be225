import { describe, expect, test } from "bun:test";
import { limitMemory, PAGE_BYTES } from "./limit-memory.ts";
import { ModuleRefused } from "./wasm-binary.ts";

const HEADER = "0061736d01000000";

/** A module of these sections, in hexadecimal. */
function moduleOf(...sections: readonly string[]): Buffer {
  return Buffer.from(HEADER + sections.join(""), "hex");
}

function refusal(bytes: Uint8Array, limitBytes?: number): string {
  try {
    limitMemory(bytes, limitBytes);
    return "accepted";
  } catch (error) {
    if (error instanceof ModuleRefused) return error.message;
    throw error;
  }
}

describe("limitMemory", () => {
  test("limitMemory gives a memory without a maximum the limit as its maximum", () => {
    const { bytes, maximumPages } = limitMemory(moduleOf("0503010011"), 1024 * PAGE_BYTES);
    expect(Buffer.from(bytes).toString("hex")).toBe(`${HEADER}05050101118008`);
    expect(maximumPages).toBe(1024);
    expect(WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)).toBe(true);
  });

  test("limitMemory lowers a maximum above the limit and keeps one below it", () => {
    expect(limitMemory(moduleOf("050401010110"), 4 * PAGE_BYTES).maximumPages).toBe(4);
    expect(limitMemory(moduleOf("050401010103"), 4 * PAGE_BYTES).maximumPages).toBe(3);
  });

  test("limitMemory rounds the limit down to whole pages", () => {
    expect(limitMemory(moduleOf("0503010001"), 3 * PAGE_BYTES - 1).maximumPages).toBe(2);
  });

  test("limitMemory splits one budget among several memories", () => {
    const { bytes, maximumPages } = limitMemory(moduleOf("05050200010001"), 10 * PAGE_BYTES);
    expect(Buffer.from(bytes).toString("hex")).toBe(`${HEADER}050702010105010105`);
    expect(maximumPages).toBe(10);
  });

  test("limitMemory leaves a module without a limit or a memory as it is", () => {
    const module = moduleOf("0503010011");
    expect(limitMemory(module, undefined)).toEqual({ bytes: module, maximumPages: undefined });
    expect(limitMemory(moduleOf(), 5)).toEqual({ bytes: moduleOf(), maximumPages: 0 });
  });

  test("limitMemory refuses what it cannot bound, and says why", () => {
    expect(refusal(moduleOf("0503010011"), 16 * PAGE_BYTES)).toContain("starts with 1114112 bytes");
    expect(refusal(moduleOf("0208010165016d020001"))).toContain("imports its memory");
    expect(refusal(moduleOf("050401030102"))).toContain("shared memory");
    expect(refusal(moduleOf("0503010401"))).toContain("64-bit memory");
    expect(refusal(Buffer.from("0061736d0d000100", "hex"))).toContain("component");
    expect(refusal(Buffer.from("0061736d02000000", "hex"))).toContain("version 2");
    expect(refusal(Buffer.from("#!/bin/sh\n"))).toContain("no WebAssembly");
  });

  test("limitMemory refuses a module that is cut at any byte, or reads it as shorter", () => {
    const whole = moduleOf("0503010011");
    for (let length = 0; length < whole.length; length++) {
      expect(() => limitMemory(whole.subarray(0, length), 10 * 1024 * PAGE_BYTES)).not.toThrow(
        RangeError,
      );
    }
    expect(refusal(moduleOf("05ffffffffff"))).toContain("too long");
    expect(refusal(moduleOf("05ffffffff0f"))).toContain("cut short");
  });
});
