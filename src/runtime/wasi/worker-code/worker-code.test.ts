import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { buildWorkerCode } from "./build-worker-code.ts";
import { BUILD_DELAY_MS, MAX_BUNDLES, WorkerCode } from "./worker-code.ts";
import {
  CODE_MANIFEST_FILE,
  engineName,
  holdsCurrentCode,
  sha256Of,
  WORKER_SCRIPT,
} from "./worker-code-manifest.ts";

let directory = "";
let clock = new ManualClock();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubun-worker-code-"));
  clock = new ManualClock();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const SOURCE_COMMAND = ["bun", "wasi-worker.ts"];

/** A bundler that is done at once: it leaves a script and a manifest made before. */
function newCode(script = 'cp -r "$0/made" "$1"'): WorkerCode {
  return new WorkerCode({
    workerCommand: SOURCE_COMMAND,
    workerCode: {
      directory: join(directory, "bundles"),
      buildCommand: ["/bin/sh", "-c", script, directory],
    },
    clock,
    logger: silentLogger,
  });
}

function makeBundle(engine = engineName()): void {
  const made = join(directory, "made");
  rmSync(made, { recursive: true, force: true });
  const source = join(directory, "source.ts");
  writeFileSync(source, "one");
  Bun.spawnSync(["mkdir", "-p", made]);
  writeFileSync(join(made, WORKER_SCRIPT), "script");
  const manifest = {
    engine,
    sources: [{ path: source, sha256: sha256Of("one") }],
    files: [{ path: WORKER_SCRIPT, sha256: sha256Of("script") }],
  };
  writeFileSync(join(made, CODE_MANIFEST_FILE), JSON.stringify(manifest));
}

async function startAndWait(code: WorkerCode): Promise<void> {
  code.start();
  clock.advance(BUILD_DELAY_MS);
  await eventually(() => code.isBundled);
}

describe("WorkerCode", () => {
  test("WorkerCode: workers start from the sources until a bundle was made", async () => {
    makeBundle();
    const code = newCode();
    code.start();
    expect(code.command).toEqual(SOURCE_COMMAND);
    clock.advance(BUILD_DELAY_MS);
    await eventually(() => code.isBundled);
    expect(code.command[0]).toBe("bun");
    expect(code.command[1]).toEndWith(`/${WORKER_SCRIPT}`);
    code.close();
    // The next server takes it at once, and starts no bundler.
    const next = newCode("exit 1");
    next.start();
    expect(next.command).toEqual(code.command);
  });

  test("WorkerCode: a bundle of other sources is not used, and the oldest go", async () => {
    for (let version = 0; version < MAX_BUNDLES + 2; version++) {
      makeBundle();
      clock.advance(1);
      const code = newCode();
      await startAndWait(code);
      code.close();
      const used = code.command[1] ?? "";
      writeFileSync(join(used, "..", WORKER_SCRIPT), "damaged");
    }
    expect(readdirSync(join(directory, "bundles"))).toHaveLength(MAX_BUNDLES);
    writeFileSync(join(directory, "source.ts"), "two");
    const code = newCode();
    code.start();
    expect(code.isBundled).toBe(false);
    code.close();
  });

  test("WorkerCode: what a server that was killed had begun to make goes", async () => {
    makeBundle();
    const bundles = join(directory, "bundles");
    for (const [name, ageMs] of [
      ["left.tmp", 86_400_000],
      ["begun.tmp", 0],
    ] as const) {
      const path = join(bundles, name);
      mkdirSync(path, { recursive: true });
      const made = new Date(Date.now() - ageMs);
      utimesSync(path, made, made);
    }
    const code = newCode();
    await startAndWait(code);
    code.close();
    await eventually(() => !existsSync(join(bundles, "left.tmp")));
    expect(existsSync(join(bundles, "begun.tmp"))).toBe(true);
  });

  test("WorkerCode: without a bundler that works the sources stay in use", async () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const code = new WorkerCode({
      workerCommand: SOURCE_COMMAND,
      workerCode: {
        directory: join(directory, "bundles"),
        buildCommand: ["/bin/sh", "-c", "echo broken >&2; exit 1"],
      },
      clock,
      logger,
    });
    code.start();
    clock.advance(BUILD_DELAY_MS);
    await eventually(() => warnings.length === 1);
    expect(code.command).toEqual(SOURCE_COMMAND);
    expect(readdirSync(join(directory, "bundles"))).toEqual([]);
  });
});

describe("holdsCurrentCode", () => {
  test("holdsCurrentCode is false when source, file or engine is another", () => {
    const made = join(directory, "made");
    makeBundle();
    expect(holdsCurrentCode(made)).toBe(true);
    writeFileSync(join(made, WORKER_SCRIPT), "other");
    expect(holdsCurrentCode(made)).toBe(false);
    makeBundle();
    writeFileSync(join(directory, "source.ts"), "other");
    expect(holdsCurrentCode(made)).toBe(false);
    makeBundle("bun 0.0.1");
    expect(holdsCurrentCode(made)).toBe(false);
    expect(holdsCurrentCode(join(directory, "nothing"))).toBe(false);
  });
});

describe("buildWorkerCode", () => {
  test("buildWorkerCode: makes scripts and bytecode of the sources there are", async () => {
    await buildWorkerCode(directory);
    expect(readdirSync(directory).sort()).toEqual([
      "load-component.js",
      "load-component.js.jsc",
      CODE_MANIFEST_FILE,
      WORKER_SCRIPT,
      `${WORKER_SCRIPT}.jsc`,
    ]);
    expect(holdsCurrentCode(directory)).toBe(true);
    // Each part is there once: a worker that runs modules reads nothing of components.
    const script = readFileSync(join(directory, WORKER_SCRIPT), "utf8");
    expect(script).toContain('import("./load-component.js")');
    expect(script).not.toContain("wasi:http/incoming-handler");
  });
});
