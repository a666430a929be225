import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ModuleRefused } from "../worker/wasm-binary.ts";
import { componentInterfaces, wasmBinaryKind, withoutVersion } from "./component-binary.ts";

const service = new Uint8Array(readFileSync(join(import.meta.dir, "testdata", "service.wasm")));
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

describe("wasmBinaryKind", () => {
  test("wasmBinaryKind tells modules, components and others apart", () => {
    expect(wasmBinaryKind(service)).toBe("component");
    expect(wasmBinaryKind(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))).toBe("module");
    expect(wasmBinaryKind(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 7, 0))).toBe("unknown");
    expect(wasmBinaryKind(Buffer.from("#!/bin/sh\n"))).toBe("unknown");
    expect(wasmBinaryKind(service.subarray(0, 7))).toBe("unknown");
  });
});

describe("componentInterfaces", () => {
  test("componentInterfaces names imports and exports with their versions", () => {
    expect(componentInterfaces(service)).toEqual({
      imports: [
        "wasi:io/poll@0.2.12",
        "wasi:io/error@0.2.12",
        "wasi:io/streams@0.2.12",
        "wasi:clocks/monotonic-clock@0.2.12",
        "wasi:http/types@0.2.12",
      ],
      exports: ["wasi:http/incoming-handler@0.2.12"],
    });
  });

  test("componentInterfaces reads every kind of import", () => {
    const imports = [
      [0, 1, 0x61, 0x05, 0], // an instance
      [0, 1, 0x62, 0x00, 0x11, 3], // a core module
      [0, 1, 0x63, 0x02, 0x01, 0x7f], // a value by its type
      [0, 1, 0x64, 0x03, 0x00, 4], // a type that equals another
      [0, 1, 0x65, 0x03, 0x01], // a resource
      [1, 1, 0x66, 0x01, 2], // a function, its name in the older form
    ];
    const body = [imports.length, ...imports.flat()];
    const bytes = Uint8Array.from([...HEADER, 10, body.length, ...body]);
    expect(componentInterfaces(bytes).imports).toEqual(["a", "b", "c", "d", "e", "f"]);
  });

  test("componentInterfaces refuses a file that is cut at any byte or reads fewer", () => {
    for (let length = 8; length < service.length; length += 7) {
      try {
        expect(componentInterfaces(service.subarray(0, length)).imports.length).toBeLessThan(6);
      } catch (error) {
        expect(error).toBeInstanceOf(ModuleRefused);
      }
    }
  });
});

test("withoutVersion leaves the interface", () => {
  expect(withoutVersion("wasi:io/streams@0.2.6")).toBe("wasi:io/streams");
  expect(withoutVersion("wasi:io/streams")).toBe("wasi:io/streams");
});
