import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_PREPARED_MODULES, PreparedModules } from "./prepared-modules.ts";
import { compileModule } from "./worker/compile-module.ts";
import { readPrepared } from "./worker/prepared-module.ts";
import { MODULES } from "./worker/testing/start-worker.ts";

const imageRef = `app@sha256:${"0".repeat(64)}`;
const modulePath = MODULES.helloHttp;
const provided = () => new Set(names);
let names: readonly string[] = [];

let root = "";
let modules: PreparedModules;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "kubun-prepared-"));
  modules = new PreparedModules(join(root, "modules"));
  const module = await WebAssembly.compile(readFileSync(modulePath));
  names = WebAssembly.Module.imports(module).map((one) => `${one.module}.${one.name}`);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function pathFor(limit?: number, ref = imageRef): string {
  const path = modules.pathFor({ imageRef: ref, modulePath }, limit);
  if (path === undefined) throw new Error("no path");
  return path;
}

describe("PreparedModules", () => {
  test("PreparedModules: each image and limit has its place, images without a digest none", () => {
    const paths = [pathFor(), pathFor(1 << 20), pathFor(undefined, imageRef.replace("0", "1"))];
    expect(new Set([...paths, pathFor()]).size).toBe(3);
    expect(modules.pathFor({ imageRef: "app:v1", modulePath }, undefined)).toBeUndefined();
  });

  test("PreparedModules: what an earlier server's workers left is not read", () => {
    const path = pathFor();
    writeFileSync(path, "old");
    modules = new PreparedModules(join(root, "modules"));
    expect(pathFor()).toBe(path);
    expect(existsSync(path)).toBe(false);
  });

  test("PreparedModules: there are so many at most", () => {
    const first = pathFor(1);
    writeFileSync(first, "");
    for (let index = 2; index <= MAX_PREPARED_MODULES; index++) pathFor(index);
    expect(existsSync(first)).toBe(true);
    pathFor(MAX_PREPARED_MODULES + 1);
    expect(existsSync(first)).toBe(false);
  });

  test("compileModule: leaves a module as it is compiled, and reads it the next time", async () => {
    const limit = 4 << 20;
    const options = { memoryLimitBytes: limit, preparedPath: pathFor(limit), provided };
    const first = await compileModule({ ...options, path: modulePath });
    expect(readPrepared(options.preparedPath)?.maximumPages).toBe(64);
    // The image itself is not needed for it any more, nor looked through.
    const again = await compileModule({ ...options, path: "/nonexistent" });
    expect(again.maximumPages).toBe(first.maximumPages);
    const described = (module: WebAssembly.Module) => [
      WebAssembly.Module.imports(module),
      WebAssembly.Module.exports(module),
    ];
    expect(described(again.module)).toEqual(described(first.module));
  });

  test("compileModule: what was damaged is made anew, what is refused is not left", async () => {
    const preparedPath = pathFor();
    const options = { path: modulePath, memoryLimitBytes: undefined, preparedPath };
    writeFileSync(preparedPath, "64\nno module");
    await compileModule({ ...options, provided });
    expect(readPrepared(preparedPath)?.bytes.length).toBeGreaterThan(1000);
    rmSync(preparedPath);
    const refused = compileModule({ ...options, provided: () => new Set() });
    expect(await refused.catch((error: Error) => error.name)).toBe("ModuleRefused");
    expect(existsSync(preparedPath)).toBe(false);
  });

  test("compileModule: a place that cannot be written to is no reason not to start", async () => {
    const preparedPath = pathFor();
    mkdirSync(preparedPath);
    const options = { path: modulePath, memoryLimitBytes: undefined, preparedPath, provided };
    expect((await compileModule(options)).module).toBeInstanceOf(WebAssembly.Module);
  });
});
