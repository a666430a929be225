import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suitePrograms } from "./testing/suite-programs.ts";
import { runProbe, startProbe } from "./testing/run-probe.ts";

const BADF = "8";

describe("programs of the WASI test suite", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wasi-suite-"));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  for (const [name, steps] of Object.entries(suitePrograms)) {
    test(`${name} finds what it wants`, async () => {
      const lines = await runProbe(
        root,
        steps.map(([call]) => call),
      );
      for (const [index, [call, want]] of steps.entries()) {
        const seen = `${call} → ${lines[index]}`;
        if (typeof want === "string") expect(seen).toBe(`${call} → ${want}`);
        else expect([seen, lines[index]]).toEqual([seen, expect.stringMatching(want)]);
      }
    });
  }

  test("fdopendir-with-access and stat-dev-ino find inodes that differ and agree", async () => {
    mkdirSync(join(root, "d"));
    for (const name of ["file-0", "file-1"]) writeFileSync(join(root, "d", name), name);
    const lines = await runProbe(root, ["open 3 d 0 2", "list 4 100"]);
    expect(lines).toEqual(["0 4", "0 4"]);
  });

  test("fopen-with-no-access and sock_shutdown-invalid_fd find no descriptor 3", async () => {
    const script = ["open 3 file", "prestat 3", "shutdown 3 1"];
    expect(await startProbe(script).lines).toEqual([BADF, BADF, BADF]);
  });

  test("args_get and environ_get give words with blanks, quotes and new lines whole", async () => {
    const run = startProbe(["args", "env"], {
      args: ["probe", "-", 'the "second" arg', "3"],
      env: [
        ["a", "text"],
        ["b", 'escap " ing'],
        ["c", "new line"],
      ],
    });
    expect(await run.lines).toEqual([
      '0 probe - the "second" arg 3',
      '0 a=text b=escap " ing c=new line',
    ]);
    expect(await startProbe(["args", "env"], { args: ["probe"] }).lines).toEqual(["0 probe", "0"]);
  });
});
