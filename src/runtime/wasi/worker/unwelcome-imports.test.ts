import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { compileBytes } from "./compile-module.ts";
import { functionOffsets, importsOf } from "./import-section.ts";
import { MODULES } from "./testing/start-worker.ts";
import { threadsOrWasix } from "./unwelcome-imports.ts";

const FUNCTION = [0, 0];
const SHARED_MEMORY = [2, 3, 1, 2];
const OWN_MEMORY = [2, 0, 1];

/** A module that only imports: each entry is `module.name` and the import's kind and type. */
function importing(...entries: readonly (readonly [string, readonly number[]])[]): Uint8Array {
  const text = (word: string) => [word.length, ...Buffer.from(word)];
  const imports = entries.flatMap(([path, type]) => {
    const [module = "", ...name] = path.split(".");
    return [...text(module), ...text(name.join(".")), ...type];
  });
  const section = [entries.length, ...imports];
  const length = [(section.length & 0x7f) | 0x80, section.length >> 7];
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0];
  return Uint8Array.from([...header, 2, ...length, ...section]);
}

async function refusal(bytes: Uint8Array): Promise<string> {
  const provided = new Set(["wasi_snapshot_preview1.fd_write"]);
  try {
    await compileBytes(bytes, { memoryLimitBytes: undefined, provided });
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a module that cannot run here", () => {
  test("threads are refused in words, with what to do instead", async () => {
    const modules = [
      importing(["wasi.thread-spawn", FUNCTION]),
      importing(["env.memory", SHARED_MEMORY], ["wasi.thread-spawn", FUNCTION]),
      importing(["env.memory", SHARED_MEMORY]),
    ];
    for (const module of modules) {
      const message = await refusal(module);
      expect(message).toStartWith("the module was built for threads, which are not provided: ");
      expect(message).toContain("wasm32-wasip1 instead of wasm32-wasip1-threads");
      expect(message).toContain("more replicas");
    }
    expect(await refusal(modules[1] ?? new Uint8Array())).toContain(
      "it imports env.memory, wasi.thread-spawn.",
    );
  });

  test("a shared memory of its own means threads as well", async () => {
    const module = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 4, 1, 3, 1, 2]);
    expect(await refusal(module)).toContain("built for threads");
    expect(await refusal(module)).toContain("it has shared memory");
  });

  test("WASIX is refused in words, also when the module wants threads as well", async () => {
    for (const version of ["wasix_32v1", "wasix_64v1"]) {
      const message = await refusal(
        importing(["env.memory", SHARED_MEMORY], [`${version}.sock_open`, FUNCTION]),
      );
      expect(message).toStartWith("the module was built for WASIX, Wasmer's extension of WASI");
      expect(message).toContain(`it imports ${version}.sock_open.`);
      expect(message).toContain("WASI 0.2 component");
    }
  });

  test("other imports are named, with what is known about their like", async () => {
    const cases = {
      "env.foo": "the linker left open",
      "gojs.runtime.wasmExit": "GOOS=wasip1",
      "wasi_unstable.fd_write": "early draft",
      "wasi_snapshot_preview1.sock_open": "WasmEdge",
      "wbg.__wbindgen_throw": "wasm-bindgen",
      "wasi:io/streams@0.2.0.[method]output-stream.write": "component",
    };
    for (const [name, hint] of Object.entries(cases)) {
      const message = await refusal(importing([name, FUNCTION]));
      expect(message).toStartWith(`the module imports what is not provided: ${name} (`);
      expect(message).toContain(hint);
    }
    expect(await refusal(importing(["my.own", FUNCTION]))).toEndWith("not provided: my.own");
  });

  test("of many unknown imports some are named and the rest counted", async () => {
    const module = importing(
      ...Array.from({ length: 20 }, (_, index) => [`my.f${index}`, FUNCTION] as const),
    );
    expect(await refusal(module)).toEndWith("my.f6, my.f7 and 12 more");
    const forged = importing([`my.a\nb${"x".repeat(110)}`, FUNCTION]);
    expect((await refusal(forged)).split("\n")).toHaveLength(1);
  });

  test("a memory that is only imported is not taken for threads", async () => {
    expect(threadsOrWasix(importing(["env.memory", OWN_MEMORY]))).toBeUndefined();
    expect(await refusal(importing(["env.memory", OWN_MEMORY]))).toContain("imports its memory");
  });

  test("what compilers make is not mistaken, and what is no module left to others", () => {
    for (const path of Object.values(MODULES)) {
      expect(threadsOrWasix(readFileSync(path))).toBeUndefined();
    }
    expect(threadsOrWasix(Buffer.from("hello"))).toBeUndefined();
    const imports = importsOf(readFileSync(MODULES.probe));
    const seen = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(MODULES.probe)));
    expect(imports.map(({ module, name, kind }) => ({ module, name, kind }))).toEqual(
      seen.map(({ module, name, kind }) => ({ module, name, kind: kind as "function" })),
    );
    expect(functionOffsets(readFileSync(MODULES.probe))(0)).toBeUndefined();
  });

  test("a module that is cut short is refused wherever it ends", async () => {
    const whole = readFileSync(MODULES.trapper);
    for (let length = 0; length < whole.length; length += 97) {
      expect(await refusal(whole.subarray(0, length))).not.toBe("accepted");
    }
  });
});
