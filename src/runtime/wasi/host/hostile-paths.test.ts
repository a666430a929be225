import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { linkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryListings, OpenDirectory } from "./open-directory.ts";
import { MAX_COMPONENTS, MAX_PATH_BYTES, MAX_SYMLINKS } from "./resolve-path.ts";
import { runProbe } from "./testing/run-probe.ts";

const INVAL = "28";
const ILSEQ = "25";
const LOOP = "32";
const MFILE = "33";
const NAMETOOLONG = "37";
const NOENT = "44";
const NOTDIR = "54";
const PERM = "63";

/** Every call that takes a path, with the path in each place; `*` stands for it. */
const PATH_CALLS = [
  "open 3 * 1 0 2",
  "open 3 * 0 0 2",
  "open 3 * 1 1",
  "open 3 * 0 13",
  "open 3 * 1 2 0",
  "mkdir 3 *",
  "rmdir 3 *",
  "unlink 3 *",
  "stat 3 * 0",
  "stat 3 * 1",
  "times 3 * 5 5 5 0",
  "times 3 * 5 5 5 1",
  "readlink 3 * 100",
  "link 3 * 3 stolen 0",
  "link 3 file 3 * 0",
  "rename 3 * 3 stolen",
  "rename 3 file 3 *",
  "symlink file 3 *",
];

describe("hostile paths", () => {
  let base: string;
  let root: string;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "wasi-hostile-"));
    root = join(base, "volume");
    mkdirSync(join(root, "dir"), { recursive: true });
    mkdirSync(join(base, "volume-two"));
    writeFileSync(join(base, "secret"), "secret");
    writeFileSync(join(base, "volume-two", "secret"), "secret");
    writeFileSync(join(root, "file"), "inside");
  });

  afterEach(() => {
    // Whatever a guest tried, nothing outside of its volume changed.
    expect(readdirSync(base).sort()).toEqual(["secret", "volume", "volume-two"]);
    expect(readdirSync(join(base, "volume-two"))).toEqual(["secret"]);
    expect(readFileSync(join(base, "secret"), "utf8")).toBe("secret");
    expect(statSync(join(base, "secret")).mtimeMs).toBeGreaterThan(1_000_000);
    rmSync(base, { recursive: true });
  });

  /** What each call answers for this path, by its error number; those that differ from `want`. */
  async function exceptions(path: string, want: readonly string[]): Promise<string[]> {
    const script = PATH_CALLS.map((call) => call.replace("*", path));
    const lines = await runProbe(root, script);
    return PATH_CALLS.map((call, index) => `${call} → ${lines[index]?.split(" ")[0]}`).filter(
      (line) => !want.includes(line.split(" → ")[1] ?? ""),
    );
  }

  test("no call takes a path that is absolute or leads above its directory", async () => {
    const paths = [
      "..",
      "../",
      "../.",
      "../secret",
      "../volume/file",
      "../volume-two/secret",
      "dir/../../secret",
      "dir/../../volume/file",
      "./.././secret",
      "..//secret",
      "dir/..//.././volume-two/secret",
      "/",
      "//",
      "/etc/passwd",
      "//etc/passwd",
      "/proc/self/environ",
      "/proc/self/fd/0",
      "/data/file",
    ];
    for (const path of paths) expect([path, await exceptions(path, [PERM])]).toEqual([path, []]);
  });

  test("names that look like ways out are names", async () => {
    const paths = ["...", ".. ", "%20..", "..%5csecret", "%5c..%5csecret", "C:%5c", "%2e%2e.", "~"];
    for (const path of paths.filter((path) => !path.includes(" "))) {
      expect([path, await exceptions(path, ["0", NOENT, "20", INVAL, NOTDIR, "31"])]).toEqual([
        path,
        [],
      ]);
      rmSync(root, { recursive: true });
      mkdirSync(join(root, "dir"), { recursive: true });
      writeFileSync(join(root, "file"), "inside");
    }
  });

  test("links of every kind that lead outside are refused, in the middle too", async () => {
    symlinkSync("../secret", join(root, "up"));
    symlinkSync(join(base, "secret"), join(root, "absolute"));
    symlinkSync("..", join(root, "parent"));
    symlinkSync("parent/../parent", join(root, "twice"));
    symlinkSync("dir/../parent", join(root, "winding"));
    symlinkSync("/proc/self/root", join(root, "proc"));
    symlinkSync("/proc/self/cwd/..", join(root, "cwd"));
    symlinkSync("//", join(root, "slashes"));
    for (const link of ["parent", "twice", "winding", "proc", "cwd", "slashes"]) {
      const path = `${link}/secret`;
      expect([path, await exceptions(path, [PERM])]).toEqual([path, []]);
      const slashed = await exceptions(`${link}/.`, [PERM]);
      expect([link, slashed]).toEqual([link, []]);
    }
    for (const link of ["up", "absolute", "twice", "winding"]) {
      const follow = [`open 3 ${link} 1 0 2`, `stat 3 ${link} 1`, `times 3 ${link} 5 5 5 1`];
      const lines = await runProbe(root, [...follow, `open 3 ${link} 1 1`, `open 3 ${link} 1 8`]);
      expect([link, lines]).toEqual([link, lines.map(() => PERM)]);
    }
  });

  test("a chain of links ends at the limit, a loop before anything is made", async () => {
    for (let index = 0; index < MAX_SYMLINKS + 1; index++) {
      symlinkSync(index === 0 ? "file" : `chain${index - 1}`, join(root, `chain${index}`));
    }
    symlinkSync("loop/loop", join(root, "loop"));
    symlinkSync("there", join(root, "here"));
    symlinkSync("dir/../here", join(root, "there"));
    const script = [
      `open 3 chain${MAX_SYMLINKS - 1} 1 0 2`,
      `open 3 chain${MAX_SYMLINKS} 1 0 2`,
      `stat 3 chain${MAX_SYMLINKS} 1`,
      "open 3 loop 1 1",
      "open 3 loop/x/y 0 1",
      "open 3 here 1 1",
      "stat 3 there/x 0",
      "times 3 here 1 1 5 1",
    ];
    expect(await runProbe(root, script)).toEqual(["0 4", ...script.slice(1).map(() => LOOP)]);
  });

  test("links that grow as they are followed end, in time and in memory", async () => {
    // Each doubles the one before: 2^30 components, if they were all written out.
    symlinkSync("dir/../dir/..", join(root, "grow0"));
    for (let index = 1; index < 30; index++) {
      const before = `grow${index - 1}`;
      symlinkSync(`${before}/${before}`, join(root, `grow${index}`));
    }
    const started = performance.now();
    const lines = await runProbe(root, [
      "stat 3 grow3/file 1",
      "stat 3 grow29/file 1",
      "mkdir 3 ok",
    ]);
    expect(lines.map((line) => line.split(" ")[0])).toEqual(["0", LOOP, "0"]);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("zeros, bytes that are no UTF-8 and surrogates are refused by every call", async () => {
    const zeros = ["file%00", "%00", "file%00/../../secret", "dir/%00/x"];
    for (const path of zeros) expect([path, await exceptions(path, [INVAL])]).toEqual([path, []]);
    const wrong = ["%ff", "fi%c3", "%c0%ae%c0%ae/secret", "%ed%a0%80", "%f4%90%80%80", "dir/%80"];
    for (const path of wrong) expect([path, await exceptions(path, [ILSEQ])]).toEqual([path, []]);
  });

  test("paths beyond every limit are refused by every call", async () => {
    const long = ["x".repeat(MAX_PATH_BYTES + 1), "x/".repeat(10_000), "../".repeat(10_000)];
    for (const path of long) {
      expect([path.length, await exceptions(path, [NAMETOOLONG])]).toEqual([path.length, []]);
    }
    const names = await exceptions("n".repeat(256), [NAMETOOLONG]);
    expect(names).toEqual([]);
    const dots = "./".repeat(2000);
    expect(await exceptions(`${dots}../secret`, [PERM])).toEqual([]);
    const lines = await runProbe(root, [
      `open 3 ${dots}file`,
      `open 3 ${"dir/../".repeat(500)}file`,
    ]);
    expect(lines).toEqual(["0 4", "0 5"]);
    expect(MAX_COMPONENTS).toBeGreaterThanOrEqual(MAX_PATH_BYTES / 2);
  });

  test("a path of many directories works, and leaves no descriptor open", async () => {
    const deep = "d/".repeat(901);
    const before = readdirSync("/proc/self/fd").length;
    const script = ["deep 3 901", `open 4 new 0 1`, "close 4", `stat 3 ${deep}new 0`];
    const lines = await runProbe(root, [
      ...script,
      `symlink ../../../../file 3 ${deep}link`,
      `open 3 ${deep}${"../".repeat(400)}missing 0 0`,
    ]);
    expect(lines[0]).toMatch(/^0 \d+$/);
    expect(lines.slice(3).map((line) => line.split(" ")[0])).toEqual(["0", "0", NOENT]);
    expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
    // Faster than node:fs, which walks from the root for each directory.
    Bun.spawnSync(["rm", "-r", join(root, "d")]);
  });

  test("a guest without descriptors left is told so by every call, and goes on later", async () => {
    const script = [
      ...Array.from({ length: 8200 }, () => "open 3 dir 0 2 0"),
      "open 3 made 0 1 0",
      "stat 3 file 0",
      "mkdir 3 more",
      "list 3 100",
      "close 50",
      "open 3 file 0 0 2",
      "read 50 6",
    ];
    const lines = (await runProbe(root, script)).slice(8200);
    expect(lines.slice(0, 1)).toEqual([MFILE]);
    expect(lines[1]).toStartWith("0 type=4");
    // Nothing was made by the call that was refused.
    expect(lines.slice(2)).toEqual(["0", "0 5", "0", "0 50", "0 inside"]);
  });

  test("a hard link to outside can be made by others only, and is a file then", async () => {
    linkSync(join(base, "secret"), join(root, "hard"));
    const lines = await runProbe(root, [
      "link 3 ../secret 3 mine 0",
      "open 3 hard 0 0 2",
      "read 4 9",
    ]);
    expect(lines).toEqual([PERM, "0 4", "0 secret"]);
  });

  test("what listings remember is bounded, and a forgotten one is read anew", async () => {
    const listings = new DirectoryListings(10);
    const { openSync } = await import("node:fs");
    const directories = ["a", "b", "c"].map((name) => {
      const path = join(root, name);
      mkdirSync(path);
      for (const file of ["1", "2", "3", "4"]) writeFileSync(join(path, file), "");
      return new OpenDirectory(openSync(path, "r"), { readOnly: false, listings });
    });
    const names = (directory: OpenDirectory | undefined, cookie: number) =>
      [...(directory?.entriesFrom(cookie) ?? [])].map(({ name }) => Buffer.from(name).toString());
    for (const directory of directories) expect(names(directory, 0)).toHaveLength(6);
    expect(listings.count).toBe(8);
    expect(names(directories[0], 4)).toEqual(["3", "4"]);
    expect(listings.count).toBe(8);
    for (const directory of directories) directory.close();
    expect(listings.count).toBe(0);
  });
});
