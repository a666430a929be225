import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MODULES, TestWorker } from "./testing/start-worker.ts";

describe("a guest that wants to harm its worker", () => {
  let worker: TestWorker;
  let volume: string;

  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
    volume = join(worker.directory, "volume");
    mkdirSync(volume);
    writeFileSync(join(volume, "file"), "inside");
  });

  afterEach(() => worker.dispose());

  /** Runs a guest on its volume, which is descriptor 3. */
  function start(module: string, args: readonly string[], logMaxBytes = 1_000_000) {
    const preopens = [{ guestPath: "/data", hostPath: volume, readOnly: false }];
    return worker.start(module, { args: ["guest", ...args], ports: [], preopens, logMaxBytes });
  }

  test("takes every descriptor there is: its log and its end are told", async () => {
    const { pid } = worker.process;
    const limited = Bun.spawnSync(["prlimit", "--pid", String(pid), "--nofile=150:150"]);
    expect(limited.exitCode).toBe(0);
    const opens = Array.from({ length: 300 }, () => "open 3 file 0 0 2");
    const talk = Array.from({ length: 20 }, () => `args ${"y".repeat(1000)}`);
    await start(MODULES.probe, [...opens, ...talk, "mkdir 3 new", "exit 5"], 40_000);
    expect(await worker.result()).toMatchObject({ exitCode: 5, processCode: 5 });
    const log = join(worker.directory, "0.log");
    expect([existsSync(`${log}.1`), existsSync(`${log}.5`)]).toEqual([true, false]);
    expect(worker.said.at(-1)).toBe("stdout F 0");
    expect(readdirSync(volume).sort()).toEqual(["file", "new"]);
  });

  test("lets its stack end inside of the host, again and again: that is a trap", async () => {
    await start(MODULES.trapper, ["descend-calling"]);
    const { exitCode, processCode, message } = await worker.result();
    expect([exitCode, processCode]).toEqual([134, 134]);
    expect(message).toMatch(/^wasm trap: Maximum call stack size exceeded/);
    expect(message).toContain("at descend_calling");
  });

  test("talks without an end of line: the log stays within its bound", async () => {
    const script = Array.from({ length: 4 }, () => "gather 1 20 50000");
    await start(MODULES.probe, [...script, "exit 0"], 100_000);
    expect(await worker.result()).toMatchObject({ exitCode: 0, reason: "Completed" });
    const log = join(worker.directory, "0.log");
    for (const path of [log, `${log}.1`]) expect(statSync(path).size).toBeLessThanOrEqual(100_000);
  });
});
