import { join } from "node:path";

/** The commit that is checked out, with a plus sign when files differ from it. */
export function currentCommit(): string {
  const run = (...args: string[]): string =>
    Bun.spawnSync(["git", ...args], { cwd: join(import.meta.dir, "../..") })
      .stdout.toString()
      .trim();
  const changed = run("status", "--porcelain", "--untracked-files=no", "src") === "" ? "" : "+";
  return `${run("rev-parse", "--short", "HEAD") || "unknown"}${changed}`;
}
