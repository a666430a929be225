import { describe, expect, test } from "bun:test";
import type { CompiledModule } from "./compile-module.ts";
import { guestShare } from "./guest-shares.ts";
import { SharedModules } from "./shared-modules.ts";

const COMPILED = { maximumPages: 1 } as CompiledModule;

describe("SharedModules", () => {
  test("SharedModules: compiles once for all who run a module at a time", async () => {
    const modules = new SharedModules();
    let compiled = 0;
    const use = () =>
      modules.use("a", async () => {
        compiled++;
        return COMPILED;
      });
    const [one, two] = await Promise.all([use(), use()]);
    expect([compiled, one.module === two.module, modules.size]).toEqual([1, true, 1]);
    one.release();
    expect(modules.size).toBe(1);
    two.release();
    expect(modules.size).toBe(0);
    await use();
    expect(compiled).toBe(2);
  });

  test("SharedModules: what does not compile is tried again by the next", async () => {
    const modules = new SharedModules();
    const failed = modules.use("a", () => Promise.reject(new Error("bad")));
    expect(await failed.catch((error: unknown) => String(error))).toBe("Error: bad");
    expect((await modules.use("a", async () => COMPILED)).module).toBe(COMPILED);
  });
});

describe("guestShare", () => {
  test("guestShare: all guests together stay within the process's open files", () => {
    for (const openFiles of [4096, 20_000, 65_536]) {
      const { descriptors, connections } = guestShare(100, openFiles);
      expect(100 * (descriptors + connections)).toBeLessThanOrEqual(openFiles);
      expect(descriptors).toBeGreaterThanOrEqual(8);
    }
  });

  test("guestShare: is never nothing, however few files a machine allows", () => {
    expect(guestShare(100, 256)).toMatchObject({ descriptors: 8, connections: 8 });
  });
});
