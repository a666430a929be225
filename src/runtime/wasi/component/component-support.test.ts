import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { BINARY_HEADER_BYTES } from "./component-binary.ts";
import { componentEntry, interfacesOf, suspendingFunctions } from "./component-support.ts";
import { COMPONENTS } from "./testing/translated.ts";

const HANDLER = "wasi:http/incoming-handler@0.2.3";

function refusal(imports: readonly string[], exports: readonly string[] = [HANDLER]): string {
  try {
    componentEntry({ imports, exports });
  } catch (error) {
    expect(error).toMatchObject({ code: "image-unsupported" });
    return (error as Error).message;
  }
  return "accepted";
}

describe("componentEntry", () => {
  test("componentEntry finds the handler first, then the command", () => {
    const imports = ["wasi:io/streams@0.2.0"];
    expect(componentEntry({ imports, exports: ["wasi:cli/run@0.2.0", HANDLER] })).toEqual({
      kind: "http",
      name: HANDLER,
    });
    expect(componentEntry({ imports, exports: ["wasi:cli/run@0.2.0"] })).toEqual({
      kind: "command",
      name: "wasi:cli/run@0.2.0",
    });
  });

  test("componentEntry names every import that nobody provides, and whose they are", () => {
    const message = refusal([
      "wasi:io/streams@0.2.0",
      "fermyon:spin/llm@2.0.0",
      "wasi:nn/inference@0.2.0",
      "acme:queue/publish",
    ]);
    expect(message).toContain(
      "fermyon:spin/llm@2.0.0, wasi:nn/inference@0.2.0, acme:queue/publish",
    );
    expect(message).toContain("Spin's own interface");
    expect(message).toContain("machine learning");
    expect(message).not.toContain("wasi:io/streams");
  });

  test("componentEntry says that WASI 0.3 is none it runs", () => {
    const words = "(WASI 0.3, which is not run yet: build the component for WASI 0.2)";
    expect(refusal(["wasi:http/types@0.3.0", "wasi:cli/stdout@0.3.0-rc-1"])).toContain(
      `nobody provides: wasi:http/types@0.3.0, wasi:cli/stdout@0.3.0-rc-1 ${words}`,
    );
    for (const name of ["wasi:http/handler@0.3.0", "wasi:cli/run@0.3.0"]) {
      expect(refusal([], [name])).toEndWith(`or wasi:cli/run, version 0.2 ${words}`);
    }
  });

  test("componentEntry says what it found instead of something to enter", () => {
    expect(refusal([], [])).toContain(
      "exports nothing, as if it were cut short: want wasi:http/incoming-handler or",
    );
    expect(refusal([], ["acme:queue/publish"])).toContain("exports acme:queue/publish");
  });
});

test("interfacesOf calls a component damaged that was cut short, wherever that was", () => {
  const whole = new Uint8Array(readFileSync(COMPONENTS.storage));
  expect(componentEntry(interfacesOf(whole)).kind).toBe("command");
  let damaged = 0;
  for (let length = BINARY_HEADER_BYTES; length < whole.length; length += 11) {
    const enter = () => componentEntry(interfacesOf(whole.subarray(0, length)));
    // Between two sections it only looks like another component, without exports.
    expect(enter).toThrow(/damaged|cut short/);
    try {
      interfacesOf(whole.subarray(0, length));
    } catch (error) {
      expect(error).toMatchObject({ code: "image-damaged" });
      damaged++;
    }
  }
  expect(damaged).toBeGreaterThan(1000);
});

test("suspendingFunctions names those that may wait as the translator does", () => {
  expect(suspendingFunctions(["wasi:io/poll@0.2.4", "wasi:random/random@0.2.4"])).toEqual([
    "wasi:io/poll@0.2.4#poll",
    "wasi:io/poll@0.2.4#[method]pollable.block",
  ]);
});
