import { expect, test } from "bun:test";
import { openFilesLimit } from "./open-files-limit.ts";

test("openFilesLimit: tells what the shell's ulimit set", () => {
  const module = `${import.meta.dir}/open-files-limit.ts`;
  const script = `console.log((await import("${module}")).openFilesLimit())`;
  const shell = `ulimit -n 300; exec "${process.execPath}" -e '${script}'`;
  const { stdout } = Bun.spawnSync(["/bin/sh", "-c", shell]);
  expect(stdout.toString().trim()).toBe("300");
  expect(openFilesLimit()).toBeGreaterThan(0);
});
