import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backtrace, guestEnd, MAX_MESSAGE_BYTES } from "./guest-end.ts";
import { functionOffsets } from "./import-section.ts";
import { sectionsOf } from "./wasm-binary.ts";
import { MODULES, TestWorker } from "./testing/start-worker.ts";

const NONE = { memoryBytes: 0, maximumPages: undefined, refusedGrowth: undefined };

/** The module without its custom sections, and so without names. */
function stripped(bytes: Uint8Array): Uint8Array {
  const kept = sectionsOf(bytes).filter(({ id }) => id !== 0);
  return Buffer.concat([
    bytes.subarray(0, 8),
    ...kept.map(({ start, end }) => bytes.subarray(start, end)),
  ]);
}

describe("the backtrace of a trap", () => {
  let worker: TestWorker;

  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });

  afterEach(() => worker.dispose());

  test("a trap tells what happened and where, in the log and in the message", async () => {
    await worker.start(MODULES.trapper, { args: ["trapper", "divide"] });
    const { exitCode, reason, message } = await worker.result();
    expect([exitCode, reason]).toEqual([134, "Error"]);
    const [what, ...where] = message.split("\n");
    expect(what).toMatch(/^wasm trap: .*[Dd]ivision by zero/);
    expect(where.slice(0, 2)).toEqual(["    at divide", "    at serve_request"]);
    expect(where).toContain("    at _start");
    expect(worker.said).toEqual(message.split("\n").map((line) => `stderr F ${line}`));
  });

  test("a function without a name is told by its place in the module", async () => {
    const bytes = stripped(readFileSync(MODULES.trapper));
    const path = join(worker.directory, "stripped.wasm");
    writeFileSync(path, bytes);
    await worker.start(path, { args: ["trapper", "read"] });
    const [what, ...where] = (await worker.result()).message.split("\n");
    expect(what).toMatch(/^wasm trap: .*[Oo]ut of bounds/);
    const offsetOf = functionOffsets(bytes);
    for (const line of where) {
      const [, index, offset] =
        /^ {4}at function (\d+) \(module offset 0x([0-9a-f]+)\)$/.exec(line) ?? [];
      expect([line, Number.parseInt(offset ?? "", 16)]).toEqual([
        line,
        offsetOf(Number(index)) ?? -1,
      ]);
    }
    expect(where.length).toBeGreaterThan(2);
  });

  test("a recursion without end takes one line", async () => {
    await worker.start(MODULES.trapper, { args: ["trapper", "descend"] });
    const { exitCode, message } = await worker.result();
    expect(exitCode).toBe(134);
    expect(message.split("\n").length).toBeLessThan(10);
    expect(message).toMatch(/at descend \(\d+ times\)/);
  });
});

describe("guestEnd", () => {
  test("the message holds whole lines, and no more than Kubernetes takes", () => {
    const error = new Error("Unreachable code should not be executed");
    const name = (index: number) => `${"very_".repeat(15)}long_name_${index}`;
    error.stack = ["guest frames:", ...Array.from({ length: 64 }, (_, index) => name(index))].join(
      "\n",
    );
    const { message } = guestEnd(error, NONE);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
    expect(Buffer.byteLength(message)).toBeGreaterThan(MAX_MESSAGE_BYTES - 100);
    expect(message.split("\n").at(-1)).toBe("    …");
    expect(message.split("\n").at(-2)).toMatch(/long_name_\d+$/);
    expect(backtrace(error).split("\n")).toHaveLength(65);
  });

  test("names that a module chose to forge lines or to be endless are made harmless", () => {
    const error = new Error("trap");
    error.stack = `guest frames:\nforged\u2028line\r\u001b[31m\n${"x".repeat(5000)}`;
    const [, forged = "", long = ""] = backtrace(error).split("\n");
    expect(forged).toBe("    at forged\u{fffd}line\u{fffd}\u{fffd}[31m");
    expect(long.length).toBeLessThan(120);
  });

  test("what is thrown that is no error is told too", () => {
    expect(guestEnd("a word", NONE)).toEqual({
      exitCode: 134,
      reason: "Error",
      message: "wasm trap: a word",
    });
  });
});
