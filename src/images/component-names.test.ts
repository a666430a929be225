import { describe, expect, test } from "bun:test";
import { componentEmbed, componentNew } from "@bytecodealliance/jco-transpile/wasm-tools";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { componentNames } from "./component-names.ts";
import { ImageError } from "./image-error.ts";
import { moduleNames } from "./module-names.ts";
import { componentWith, moduleWith } from "./testing/wasm-fixtures.ts";
import { MAX_NAME_BYTES, MAX_WASM_NAMES } from "./wasm-reader.ts";

const WIT = `
package wasi:http@0.2.3;
interface types { resource fields { constructor(); } record pair { a: string, b: list<u8> } }
interface incoming-handler { use types.{pair}; handle: func(request: pair) -> result<string, u32>; }
world proxy {
  import types;
  import log: func(text: string);
  export incoming-handler;
  export run: func(times: u32) -> bool;
}`;

async function component(): Promise<Uint8Array> {
  return componentNew(await componentEmbed({ witSource: WIT, dummy: true }), []);
}

/** What is not understood must be refused in one way, and soon. */
function refusedOrRead(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    expect(error.code).toBe("unsupported");
  }
}

describe("componentNames", () => {
  test("componentNames reads what a component imports and exports", async () => {
    expect(componentNames(await component())).toEqual({
      imports: ["wasi:http/types@0.2.3", "log"],
      exports: ["run", "wasi:http/incoming-handler@0.2.3"],
    });
  });

  test("componentNames reads names of every form", () => {
    const bytes = componentWith({ imports: ["a:b/c"], exports: ["d"] });
    expect(componentNames(bytes)).toEqual({ imports: ["a:b/c"], exports: ["d"] });
    // One import with an attribute behind its name, and a resource as what it is.
    const attributed = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 10, 9, 1, 2, 1, 0x78, 1, 0, 1, 0x79];
    const sort = [3, 1];
    const whole = new Uint8Array([...attributed, ...sort].with(9, 10));
    expect(componentNames(whole)).toEqual({ imports: ["x"], exports: [] });
  });

  test("componentNames refuses more names, and longer ones, than its limits", () => {
    const many = Array.from({ length: MAX_WASM_NAMES + 1 }, (_, index) => `a:b/c${index}`);
    expect(() => componentNames(componentWith({ imports: many }))).toThrow(
      "a list has 10001 items",
    );
    const long = "x".repeat(MAX_NAME_BYTES + 1);
    expect(() => componentNames(componentWith({ imports: [long] }))).toThrow("a name has 4097");
    const half = many.slice(0, MAX_WASM_NAMES / 2 + 1);
    const [first, second] = [componentWith({ imports: half }), componentWith({ imports: half })];
    const twice = new Uint8Array([...first, ...second.subarray(8)]);
    expect(() => componentNames(twice)).toThrow("more than 10000 names");
  });

  test("componentNames gives names or one kind of error for every cut", async () => {
    const whole = await component();
    for (let length = 8; length < whole.length; length++) {
      refusedOrRead(componentNames, whole.subarray(0, length));
    }
    const module = moduleWith({ imports: ["a.b", "c.d"], sharedMemory: true });
    for (let length = 8; length < module.length; length++) {
      refusedOrRead(moduleNames, module.subarray(0, length));
    }
  });

  test("componentNames gives names or one kind of error for mutated binaries", async () => {
    const random = new SeededRandom(4);
    const whole = await component();
    const module = moduleWith({ imports: ["a.b", "c.d"], sharedMemory: true });
    for (let round = 0; round < 20_000; round++) {
      const [read, original] = round % 2 ? [componentNames, whole] : [moduleNames, module];
      const bytes = new Uint8Array(original);
      for (let count = 1 + randomInteger(random, 4); count > 0; count--) {
        bytes[8 + randomInteger(random, bytes.length - 8)] = randomInteger(random, 256);
      }
      refusedOrRead(read, bytes);
    }
  });
});

describe("moduleNames", () => {
  test("moduleNames reads functions, and tells a shared memory", () => {
    const bytes = moduleWith({ imports: ["wasi_snapshot_preview1.fd_read"], sharedMemory: true });
    expect(moduleNames(bytes)).toEqual({
      imports: [
        { module: "wasi_snapshot_preview1", name: "fd_read", sharedMemory: false },
        { module: "env", name: "memory", sharedMemory: true },
      ],
      exports: ["_start"],
    });
  });
});
