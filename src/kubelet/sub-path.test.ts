import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBeneath } from "./sub-path.ts";

describe("openBeneath", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-subpath-"));
    mkdirSync(join(root, "a/b"), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function placeOf(subPath: string, create = false): string {
    const held = openBeneath({ root, subPath, create });
    try {
      return readlinkSync(`/proc/self/fd/${held}`);
    } finally {
      closeSync(held);
    }
  }

  test("openBeneath opens a part of a volume, and makes what is missing if it may", () => {
    expect(placeOf("a/./b")).toBe(join(root, "a/b"));
    expect(() => placeOf("a/c/d")).toThrow("is not in the volume");
    expect(placeOf("a/c/d", true)).toBe(join(root, "a/c/d"));
  });

  test("openBeneath follows links that stay in the volume, as ConfigMaps have them", () => {
    symlinkSync("a", join(root, "..data"));
    symlinkSync("..data/b", join(root, "b"));
    symlinkSync("../b", join(root, "a/up"));
    expect(placeOf("b")).toBe(join(root, "a/b"));
    expect(placeOf("a/up")).toBe(join(root, "a/b"));
  });

  test("openBeneath refuses whatever leads out of the volume", () => {
    symlinkSync("/etc", join(root, "absolute"));
    symlinkSync("../../..", join(root, "a/relative"));
    symlinkSync("loop", join(root, "loop"));
    expect(() => placeOf("absolute/passwd")).toThrow("leads out of the volume");
    expect(() => placeOf("a/relative")).toThrow("leads out of the volume");
    expect(() => placeOf("loop")).toThrow("has too many links");
    expect(() => placeOf("../x")).toThrow('relative without ".."');
    expect(() => placeOf("/etc")).toThrow('relative without ".."');
  });
});
