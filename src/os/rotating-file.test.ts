import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../lib/index.ts";
import { openRotatingFile } from "./rotating-file.ts";

async function within(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-lines-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const common = { clock: new ManualClock(), logger: silentLogger };

test("openRotatingFile: puts a full file aside, and keeps so many of those", () =>
  within(async (directory) => {
    const path = join(directory, "below", "audit.log");
    for (let count = 0; count < 5; count++) {
      const file = await openRotatingFile({ path, maxBytes: 10, maxFiles: 2, ...common });
      file.write(`line ${count} ${"x".repeat(10)}`);
      await file.close();
      // Of two in one millisecond the second one is named after the next.
      if (count % 2 === 1) common.clock.advance(1000);
    }
    const names = readdirSync(join(directory, "below")).sort();
    expect(names).toHaveLength(3);
    expect(names.filter((name) => name.startsWith("audit-"))).toHaveLength(2);
    const kept = names.map((name) => readFileSync(join(directory, "below", name), "utf8")).join("");
    expect(kept.match(/line \d/g)).toEqual(["line 3", "line 4"]);
  }));

test("openRotatingFile: lines stay in order, and those that cannot wait are dropped", () =>
  within(async (directory) => {
    const path = join(directory, "audit.log");
    const limits = { maxBytes: 1e6, maxFiles: 1, maxWaitingBytes: 20 };
    const file = await openRotatingFile({ path, ...limits, ...common });
    for (let count = 0; count < 10; count++) file.write(`line ${count}`);
    await file.close();
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines.slice(0, 2)).toEqual(["line 0", "line 1"]);
    expect(lines.length).toBeLessThan(10);
  }));
