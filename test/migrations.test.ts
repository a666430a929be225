import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const DRIZZLE_KIT = join(root, "node_modules/drizzle-kit/bin.cjs");

test("migrations: are what the schema in src/mvcc asks for", () => {
  const directory = mkdtempSync(join(tmpdir(), "kubun-migrations-"));
  try {
    const copy = join(directory, "migrations");
    cpSync(join(root, "migrations"), copy, { recursive: true });
    const before = readdirSync(copy);
    const options = [
      "--dialect=sqlite",
      `--schema=${join(root, "src/mvcc/schema.ts")}`,
      "--out=migrations",
    ];
    const run = Bun.spawnSync({
      cmd: [process.execPath, DRIZZLE_KIT, "generate", ...options],
      // drizzle-kit takes its `--out` for relative whatever it is.
      cwd: directory,
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect(run.stderr.toString()).toBe("");
    expect(run.stdout.toString()).toContain("No schema changes");
    expect(readdirSync(copy)).toEqual(before);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
