import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { eventually } from "../../../lib/testing/eventually.ts";
import { runProbe } from "./testing/run-probe.ts";

const ROUNDS = 40;
const CALLS = 100;

test("path functions never leave the volume while a directory turns into a link", async () => {
  const base = mkdtempSync(join(tmpdir(), "wasi-race-"));
  const root = join(base, "volume");
  const outside = join(base, "outside");
  mkdirSync(join(root, "swapped"), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(root, "swapped", "file"), "inside");
  writeFileSync(join(outside, "file"), "SECRET");
  symlinkSync("../outside", join(root, "link"));
  const stop = new SharedArrayBuffer(4);
  const ready = join(base, "ready");
  const swapper = new Worker(join(import.meta.dir, "testing", "swap-links.ts"), {
    workerData: { root, ready, stop },
  });
  await eventually(() => existsSync(ready));

  const script = Array.from({ length: CALLS }, () => [
    "open 3 swapped/file 1 0 2",
    "read 4 6",
    "close 4",
    "open 3 swapped/made 1 1",
    "close 4",
    "mkdir 3 swapped/sub",
    "rename 3 swapped/made 3 swapped/other",
    "unlink 3 swapped/other",
    "rmdir 3 swapped/sub",
    "symlink file 3 swapped/sym",
    "unlink 3 swapped/sym",
    "link 3 swapped/file 3 swapped/hard 0",
    "unlink 3 swapped/hard",
    "times 3 swapped/file 5 5 5 1",
  ]).flat();
  let opened = 0;
  let refused = 0;
  for (let round = 0; round < ROUNDS && (opened === 0 || refused === 0 || round < 5); round++) {
    const lines = await runProbe(root, script);
    expect(lines.some((line) => line.includes("SECRET"))).toBe(false);
    opened += lines.filter((line) => line === "0 inside").length;
    refused += lines.filter((line) => line === "63").length;
  }
  Atomics.store(new Int32Array(stop), 0, 1);
  await new Promise((resolve) => swapper.once("exit", resolve));

  expect(opened).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
  expect(readdirSync(outside)).toEqual(["file"]);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("SECRET");
  rmSync(base, { recursive: true });
});
