import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileAtomically } from "./atomic-file.ts";

test("writeFileAtomically: a failure names the file and leaves nothing behind", () => {
  const directory = mkdtempSync(join(tmpdir(), "kubun-atomic-"));
  try {
    const path = join(directory, "taken");
    // A directory cannot be replaced by a file: writing succeeds, the last step does not.
    mkdirSync(path);
    expect(() => writeFileAtomically(path, "text", { mode: 0o600 })).toThrow(`${path}: EISDIR`);
    expect(readdirSync(directory)).toEqual(["taken"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
