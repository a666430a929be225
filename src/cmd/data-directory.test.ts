import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDataDirectory } from "./data-directory.ts";

const RUNTIME_DIRECTORY = "XDG_RUNTIME_DIR";

describe("createDataDirectory", () => {
  let base: string;
  const before = process.env[RUNTIME_DIRECTORY];

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "kubun-directory-"));
    process.env[RUNTIME_DIRECTORY] = base;
  });

  afterEach(() => {
    if (before === undefined) delete process.env[RUNTIME_DIRECTORY];
    else process.env[RUNTIME_DIRECTORY] = before;
    rmSync(base, { recursive: true });
  });

  test("createDataDirectory: puts sockets into a folder of this user", () => {
    const { sockets } = createDataDirectory(join(base, "data"));
    expect(sockets.startsWith(base)).toBe(true);
    expect(existsSync(sockets)).toBe(true);
  });

  test("createDataDirectory: refuses a folder that somebody put in its place", () => {
    mkdirSync(join(base, "elsewhere"));
    symlinkSync(join(base, "elsewhere"), join(base, `kubun-${process.getuid?.() ?? 0}`));
    expect(() => createDataDirectory(join(base, "data"))).toThrow(
      "is not a directory of this user",
    );
  });
});
