import { describe, expect, test } from "bun:test";
import { THIRD_PREVIEW } from "../lib/index.ts";
import { importAdvice } from "./import-advice.ts";
import { componentWith, moduleWith } from "./testing/wasm-fixtures.ts";
import { inspectWasm } from "./wasm-inspection.ts";

const HANDLER = "wasi:http/incoming-handler@0.2.3";

function adviceOn(bytes: Uint8Array): string[] {
  return importAdvice(inspectWasm(bytes)).map(
    ({ verdict, names, why, grant }) =>
      `${verdict} ${names.join(" ")}: ${grant === undefined ? why : grant.annotation}`,
  );
}

describe("importAdvice", () => {
  test("importAdvice has nothing to say of what runs as it is", () => {
    const imports = ["wasi:http/types@0.2.0", "wasi:io/poll@0.2.6", "wasi:logging/logging"];
    expect(adviceOn(componentWith({ imports, exports: [HANDLER] }))).toEqual([]);
    expect(adviceOn(componentWith({ exports: ["wasi:cli/run@0.2.0"] }))).toEqual([]);
    const module = { imports: ["wasi_snapshot_preview1.sock_accept"] };
    expect(adviceOn(moduleWith(module))).toEqual([]);
  });

  test("importAdvice names the annotation that a component needs", () => {
    const imports = [
      "wasi:http/outgoing-handler@0.2.3",
      "wasi:sockets/tcp-create-socket@0.2.3",
      "wasi:keyvalue/store@0.2.0-draft2",
    ];
    expect(adviceOn(componentWith({ imports, exports: [HANDLER] }))).toEqual([
      "needs-grant wasi:http/outgoing-handler@0.2.3: kubun.dev/allowed-outgoing-hosts",
      "needs-grant wasi:sockets/tcp-create-socket@0.2.3: kubun.dev/allowed-outgoing-hosts",
      "needs-grant wasi:keyvalue/store@0.2.0-draft2: kubun.dev/keyvalue-stores",
    ]);
    const kept = ["fermyon:spin/sqlite@2.0.0", "wasi:blobstore/blobstore@0.2.0-draft"];
    expect(adviceOn(componentWith({ imports: kept, exports: [HANDLER] }))).toEqual([
      "needs-grant fermyon:spin/sqlite@2.0.0: kubun.dev/sqlite-databases",
      "needs-grant wasi:blobstore/blobstore@0.2.0-draft: kubun.dev/blob-containers",
    ]);
  });

  test("importAdvice tells which version of an interface is provided", () => {
    const imports = ["fermyon:spin/sqlite@3.0.0", "wasi:blobstore/types@0.1.0"];
    expect(adviceOn(componentWith({ imports, exports: [HANDLER] }))).toEqual([
      "refused fermyon:spin/sqlite@3.0.0: provided in version none or 2.x",
      "refused wasi:blobstore/types@0.1.0: provided in version 0.2.0-draft",
    ]);
  });

  test("importAdvice takes a component without exports for one that was cut short", () => {
    expect(adviceOn(componentWith({}))).toEqual([expect.stringContaining("cut short")]);
  });

  test("importAdvice tells what is refused of a component, and why", () => {
    const imports = [
      "fermyon:spin/mqtt@2.0.0",
      "fermyon:spin/llm@2.0.0",
      "wasmcloud:bus/lattice",
      "wasi:nn/tensor@0.2.0",
      "wasi:http/types@0.3.0",
      "acme:shop/cart",
      "log",
    ];
    expect(adviceOn(componentWith({ imports, exports: [HANDLER] }))).toEqual([
      "refused fermyon:spin/mqtt@2.0.0 fermyon:spin/llm@2.0.0: Spin's own interface",
      "refused wasmcloud:bus/lattice: wasmCloud's own interface",
      "refused wasi:nn/tensor@0.2.0: no machine learning is provided",
      `refused wasi:http/types@0.3.0: ${THIRD_PREVIEW}`,
      "refused acme:shop/cart: an interface nobody provides",
      "refused log: a function nobody provides",
    ]);
  });

  test("importAdvice tells a component that no pod can be run by", () => {
    expect(adviceOn(componentWith({ exports: ["acme:shop/cart"] }))).toEqual([
      "refused acme:shop/cart: it exports neither wasi:http/incoming-handler nor wasi:cli/run, " +
        "which pods are run by",
    ]);
    expect(adviceOn(componentWith({ exports: ["wasi:cli/run@0.3.0"] }))).toEqual([
      `refused wasi:cli/run@0.3.0: ${THIRD_PREVIEW}`,
    ]);
  });

  test.each([
    ["wasix_32v1.fd_dup", "WASIX: build for plain WASI preview 1"],
    ["wasi.thread-spawn", "threads: build without them"],
    ["wasi_unstable.fd_read", "an early draft of WASI: build for wasi_snapshot_preview1"],
    ["wasi_snapshot_preview1.sock_open", "no function of WASI preview 1 but another runtime's own"],
    ["env.puts", "functions the linker left open, or a build for Emscripten"],
    [
      "wasi:http/types@0.2.0.[constructor]fields",
      "a module that has still to become a component: wasm-tools component new",
    ],
    ["other.thing", "a module nobody provides"],
  ])("importAdvice tells what is wrong with a module's import of %s", (name, why) => {
    expect(adviceOn(moduleWith({ imports: [name] }))).toEqual([`refused ${name}: ${why}`]);
  });

  test("importAdvice takes a shared memory for threads, and a library for none to run", () => {
    expect(adviceOn(moduleWith({ sharedMemory: true, exports: ["_initialize"] }))).toEqual([
      "refused env.memory: threads: build without them",
      "refused _initialize: it exports no _start function: it is a library, no command",
    ]);
  });
});
