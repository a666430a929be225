import { describe, expect, test } from "bun:test";
import { CLUSTER_INTERFACES, PREVIEW_ONE_FUNCTIONS } from "../src/images/cluster-interfaces.ts";
import { importAdvice, inspectWasm } from "../src/images/index.ts";
import { componentWith } from "../src/images/testing/wasm-fixtures.ts";
import { componentInterfaces } from "../src/runtime/wasi/component/component-binary.ts";
import { componentEntry } from "../src/runtime/wasi/component/component-support.ts";
import { SystemHostClock } from "../src/runtime/wasi/host/host-clock.ts";
import { PREVIEW1, WasiHost } from "../src/runtime/wasi/host/wasi-host.ts";
import { PROVIDED_INTERFACES } from "../src/runtime/wasi/preview2/provided-interfaces.ts";

const HANDLER = "wasi:http/incoming-handler@0.2.0";

/** What `kubun image` says of an image is what the node does with it. */
describe("what images are told of WASI", () => {
  test("CLUSTER_INTERFACES are those that the host of components provides", () => {
    expect([...CLUSTER_INTERFACES].sort()).toEqual(Object.keys(PROVIDED_INTERFACES).sort());
  });

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
