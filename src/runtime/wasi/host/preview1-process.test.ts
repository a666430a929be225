import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProbe, runRawCalls, startProbe } from "./testing/run-probe.ts";

const INVAL = "28";
const NOTSUP = "58";

describe("clocks, signals and waiting", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wasi-process-"));
    writeFileSync(join(root, "file"), "0123456789");
  });

  afterEach(() => rmSync(root, { recursive: true }));

  function raw(script: readonly string[]): Promise<number[]> {
    const preopens = [{ guestPath: "/data", hostPath: root, readOnly: false }];
    return runRawCalls(script, { preopens });
  }

  test("clocks of the processor go on while a guest computes", async () => {
    const script = [0, 1, 2, 3].map((clock) => `burn ${clock} 3`);
    expect(await runProbe(root, [...script, "burn 4 1"])).toEqual(["0", "0", "0", "0", INVAL]);
    const calls = [0, 1, 2, 3].map((clock) => `clock_res_get ${clock} B`);
    expect(await raw([...calls, "clock_res_get 4 B", "clock_res_get -1 B"])).toEqual([
      0, 0, 0, 0, 28, 28,
    ]);
  });

  test("proc_exit tells 32 bits; proc_raise ends as signals do, or does nothing", async () => {
    expect(await runProbe(root, ["exit 255"])).toEqual(["exit 255"]);
    expect(await runProbe(root, ["exit -1"])).toEqual(["exit 4294967295"]);
    for (const signal of [1, 2, 6, 9, 11, 15]) {
      expect(await runProbe(root, [`raise ${signal}`])).toEqual([`exit ${128 + signal}`]);
    }
    const harmless = [0, 16, 17, 22, 27].map((signal) => `raise ${signal}`);
    expect(await runProbe(root, harmless)).toEqual(harmless.map(() => "0"));
    expect(await runProbe(root, ["raise 18", "raise 31", "raise 255", "raise -1"])).toEqual([
      NOTSUP,
      INVAL,
      INVAL,
      INVAL,
    ]);
  });

  test("poll_oneoff knows relative and absolute times of both clocks, past ones too", async () => {
    const script = [
      "poll t:0:3 t:0:600000",
      "poll t:1:3 a:1:600000",
      "poll a:0:3 a:0:600000",
      "poll a:1:3 t:1:600000",
      "poll a:0:-5000 t:1:600000",
      "poll a:1:-1 a:0:600000",
      "poll a:0:0 a:1:0",
      "poll t:2:1 t:3:1",
      "poll t:7:1 m:600000",
      "poll w:1 a:0:600000",
      "poll r:9 w:9 t:0:600000",
      "poll r:3 w:1 m:0",
    ];
    const start = performance.now();
    expect(await runProbe(root, script)).toEqual([
      "0 t:0:3",
      "0 t:1:3",
      "0 a:0:3",
      "0 a:1:3",
      "0 a:0:-5000",
      "0 a:1:-1",
      "0 a:0:0 a:1:0",
      "0 t:2:1!58 t:3:1!58",
      "0 t:7:1!28",
      "0 w:1=1",
      "0 r:9!8 w:9!8",
      "0 r:3!8 w:1=1 m:0",
    ]);
    expect(performance.now() - start).toBeGreaterThanOrEqual(11);
  });

  test("files are ready at once, with what is left of them", async () => {
    const script = ["open 3 file", "poll r:4 w:4 m:600000", "seek 4 8 0", "poll r:4 m:600000"];
    expect(await runProbe(root, [...script, "seek 4 50 0", "poll r:4 m:600000"])).toEqual([
      "0 4",
      "0 r:4=10 w:4=1",
      "0 8",
      "0 r:4=2",
      "0 50",
      "0 r:4=0",
    ]);
  });

  test("arguments and environment may be empty, and hold any text", async () => {
    const run = startProbe(["args", "env"], {
      args: ["probe", "-", "", "ünïcödé", "cut\0here"],
      env: [
        ["EMPTY", ""],
        ["TEXT", "a=b=c"],
      ],
    });
    expect(await run.lines).toEqual(["0 probe -  ünïcödé cut", "0 EMPTY= TEXT=a=b=c"]);
    const calls = ["args_sizes_get B B+4", "environ_sizes_get B B+4", "environ_get B B+64"];
    expect(await raw([...calls, "args_get B B+64", "sched_yield"])).toEqual([0, 0, 0, 0, 0]);
  });
});
