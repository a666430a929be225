import { describe, expect, test } from "bun:test";
import { importAdvice, inspectWasm } from "../src/images/index.ts";
import { PREVIEW_ONE_FUNCTIONS } from "../src/images/preview-one.ts";
import { componentWith } from "../src/images/testing/wasm-fixtures.ts";
import { componentInterfaces } from "../src/runtime/wasi/component/component-binary.ts";
import { componentEntry } from "../src/runtime/wasi/component/component-support.ts";
import { SystemHostClock } from "../src/runtime/wasi/host/host-clock.ts";
import { PREVIEW1, WasiHost } from "../src/runtime/wasi/host/wasi-host.ts";

const HANDLER = "wasi:http/incoming-handler@0.2.0";

/** What `kubun image` says of an image is what the node does with it. */
describe("what images are told of WASI", () => {
  test("PREVIEW_ONE_FUNCTIONS are those that the host of modules provides", () => {
    // Nothing is ever read or written: only the names count.
    const [input, output] = [{ kind: "input" }, { kind: "output" }];
    const host = new WasiHost({
      args: [],
      env: [],
      stdin: input as never,
      stdout: output as never,
      stderr: output as never,
      ports: [],
      preopens: [],
      clock: new SystemHostClock(),
    });
    const provided = Object.keys(host.imports()[PREVIEW1] ?? {});
    expect([...PREVIEW_ONE_FUNCTIONS].sort()).toEqual(provided.sort());
  });

  test.each([
    [["wasi:io/streams@0.2.6", "wasi:config/store@0.2.0-rc.1"], [HANDLER]],
    [["wasi:http/outgoing-handler@0.2.0"], ["wasi:cli/run@0.2.3"]],
    [["wasi:logging/logging"], [HANDLER]],
    [["wasi:http/types@0.3.0"], [HANDLER]],
    [["wasi:nn/tensor@0.2.0"], [HANDLER]],
    [["fermyon:spin/llm@2.0.0"], [HANDLER]],
    [["fermyon:spin/sqlite@2.0.0", "fermyon:spin/sqlite", "fermyon:spin/variables"], [HANDLER]],
    [["fermyon:spin/sqlite@3.0.0"], [HANDLER]],
    [["spin:sqlite/sqlite@3.0.0"], [HANDLER]],
    [["wasi:blobstore/container@0.2.0-draft"], [HANDLER]],
    [["wasi:blobstore/container@0.1.0"], [HANDLER]],
    [["wasi:blobstore/container"], [HANDLER]],
    [["toString"], [HANDLER]],
    [[], ["wasi:http/handler@0.3.0"]],
    [[], ["wasi:cli/run@0.3.0"]],
    [[], []],
  ])("importAdvice refuses a component of %p and %p when a node does", (imports, exports) => {
    const bytes = componentWith({ imports, exports });
    const refused = importAdvice(inspectWasm(bytes)).some(({ verdict }) => verdict === "refused");
    const enter = (): unknown => componentEntry(componentInterfaces(bytes));
    if (refused) expect(enter).toThrow("the component");
    else expect(enter).not.toThrow();
  });
});
