import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProbe } from "./testing/run-probe.ts";

const PERM = 63;
const NOENT = 44;
const NOTDIR = 54;
const ISDIR = 31;
const EXIST = 20;
const LOOP = 32;
const INVAL = 28;
const ROFS = 69;
const NOTEMPTY = 55;

describe("path functions", () => {
  let base: string;
  let root: string;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "wasi-path-"));
    root = join(base, "volume");
    mkdirSync(join(root, "dir", "nested"), { recursive: true });
    mkdirSync(join(base, "outside"));
    writeFileSync(join(base, "outside", "secret"), "secret");
    writeFileSync(join(base, "secret"), "secret");
    writeFileSync(join(root, "file"), "inside");
    writeFileSync(join(root, "dir", "nested", "file"), "nested");
  });

  afterEach(() => rmSync(base, { recursive: true }));

  /** Error numbers only. */
  async function errors(script: readonly string[], options = {}): Promise<number[]> {
    const lines = await runProbe(root, script, options);
    return lines.map((line) => Number(line.split(" ")[0]));
  }

  describe("path resolution", () => {
    test("path_open finds a file through dots, doubled slashes and .. inside", async () => {
      const paths = [
        "dir/nested/file",
        "dir/.//nested/../../dir/nested/../nested///./file",
        "./dir/../file",
        "dir/nested/../../file",
      ];
      expect(await errors(paths.map((path) => `open 3 ${path} 1 0 2`))).toEqual([0, 0, 0, 0]);
    });

    test("path_open refuses .. above the directory and absolute paths with EPERM", async () => {
      const paths = [
        "..",
        "../secret",
        "dir/../../secret",
        "dir/nested/../../../outside/secret",
        "/etc/passwd",
        "/",
        "//",
        "./../volume/file",
        "..//volume/file",
        "dir/./.././../secret",
      ];
      expect(await errors(paths.map((path) => `open 3 ${path} 1 0 2`))).toEqual(
        paths.map(() => PERM),
      );
    });

    test("path_open answers errors for odd paths", async () => {
      const script = [
        "open 3 %",
        "open 3 fi%00le",
        "open 3 missing",
        "open 3 file/x",
        "open 3 file/",
      ];
      expect(await errors([...script, "open 3 fi%ffle"])).toEqual([
        NOENT,
        INVAL,
        NOENT,
        NOTDIR,
        NOTDIR,
        25,
      ]);
    });

    test("path_open resolves .. against the opened directory, not above it", async () => {
      const lines = await runProbe(root, [
        "open 3 dir/nested 0 2",
        "open 4 ../../file",
        "open 4 file",
      ]);
      expect(lines).toEqual(["0 4", `${PERM}`, "0 5"]);
    });
  });

  describe("symbolic links", () => {
    test("path_open follows links that stay inside, also through .. and chains", async () => {
      symlinkSync("file", join(root, "plain"));
      symlinkSync("../file", join(root, "dir", "up"));
      symlinkSync("dir/up", join(root, "chain"));
      symlinkSync("dir", join(root, "linked"));
      const paths = ["plain", "dir/up", "chain", "linked/up", "linked/nested/file", "linked/"];
      expect(await errors(paths.map((path) => `open 3 ${path} 1 0 2`))).toEqual([0, 0, 0, 0, 0, 0]);
    });

    test("path_open refuses links that lead outside, last or in the middle", async () => {
      symlinkSync(join(base, "secret"), join(root, "absolute"));
      symlinkSync("../secret", join(root, "relative"));
      symlinkSync("/", join(root, "slash"));
      symlinkSync("../outside", join(root, "away"));
      symlinkSync("dir/../../secret", join(root, "winding"));
      symlinkSync("away", join(root, "indirect"));
      symlinkSync(root, join(root, "self"));
      const paths = [
        "absolute",
        "relative",
        "slash/etc/passwd",
        "away/secret",
        "away/",
        "winding",
        "indirect/secret",
        "self/file",
        "dir/../relative",
      ];
      expect(await errors(paths.map((path) => `open 3 ${path} 1 0 2`))).toEqual(
        paths.map(() => PERM),
      );
    });

    test("every path function refuses to reach outside through a link or ..", async () => {
      symlinkSync("../outside", join(root, "away"));
      const away = ["away/secret", "../outside/secret"];
      const script = away.flatMap((path) => [
        `open 3 ${path} 0 1`,
        `open 3 ${path} 1 9`,
        `stat 3 ${path} 0`,
        `stat 3 ${path} 1`,
        `unlink 3 ${path}`,
        `rmdir 3 ${path}`,
        `mkdir 3 ${path}x`,
        `rename 3 ${path} 3 stolen`,
        `rename 3 file 3 ${path}`,
        `link 3 ${path} 3 stolen 0`,
        `link 3 file 3 ${path}x 0`,
        `symlink file 3 ${path}x`,
        `readlink 3 ${path} 100`,
        `times 3 ${path} 5 5 5 1`,
      ]);
      expect(await errors(script)).toEqual(script.map(() => PERM));
      expect(readdirSync(join(base, "outside"))).toEqual(["secret"]);
      expect(readFileSync(join(base, "outside", "secret"), "utf8")).toBe("secret");
      expect(existsSync(join(root, "stolen"))).toBe(false);
    });

    test("a link to outside can be looked at, removed and renamed as a link", async () => {
      symlinkSync("../secret", join(root, "away"));
      const lines = await runProbe(root, [
        "stat 3 away 0",
        "stat 3 away 1",
        "readlink 3 away 100",
        "readlink 3 away 4",
        "rename 3 away 3 moved",
        "link 3 moved 3 second 0",
        "unlink 3 moved",
      ]);
      expect(lines).toEqual([
        expect.stringMatching(/^0 type=7/),
        `${PERM}`,
        "0 ../secret",
        "0 ../s",
        "0",
        "0",
        "0",
      ]);
      expect(lstatSync(join(root, "second")).isSymbolicLink()).toBe(true);
      expect(existsSync(join(base, "secret"))).toBe(true);
    });

    test("path_open stops at loops and at links it is told not to follow", async () => {
      symlinkSync("b", join(root, "a"));
      symlinkSync("a", join(root, "b"));
      symlinkSync("file", join(root, "plain"));
      symlinkSync("dir", join(root, "linked"));
      symlinkSync("missing", join(root, "dangling"));
      const script = [
        "open 3 a 1",
        "open 3 a/x 1",
        "open 3 plain 0",
        "open 3 linked 0 2",
        "open 3 dangling 0 1",
        "open 3 dangling 1 0",
        "open 3 dangling 1 5",
        "open 3 dangling 1 1",
      ];
      expect(await errors(script)).toEqual([LOOP, LOOP, LOOP, LOOP, LOOP, NOENT, EXIST, 0]);
      expect(existsSync(join(root, "missing"))).toBe(true);
    });

    test("path_symlink makes relative links and refuses absolute ones", async () => {
      const lines = await runProbe(root, [
        "symlink file 3 made",
        "open 3 made 1 0 2",
        "symlink ../secret 3 lure",
        "open 3 lure 1 0 2",
        "symlink /etc/passwd 3 host",
        "symlink file 3 made",
        "symlink % 3 empty",
        "symlink file 3 slash/",
        "symlink file 3 dir/",
        "symlink file 3 file/",
      ]);
      expect(lines).toEqual([
        "0",
        "0 4",
        "0",
        `${PERM}`,
        `${PERM}`,
        `${EXIST}`,
        `${NOENT}`,
        `${NOENT}`,
        `${EXIST}`,
        `${NOTDIR}`,
      ]);
    });
  });

  describe("directory entries", () => {
    test("path_create_directory, remove and unlink tell kinds and slashes apart", async () => {
      const script = [
        "mkdir 3 new/",
        "mkdir 3 new",
        "mkdir 3 .",
        "mkdir 3 missing/new",
        "rmdir 3 new/",
        "rmdir 3 new",
        "rmdir 3 file",
        "rmdir 3 dir",
        "rmdir 3 .",
        "unlink 3 dir",
        "unlink 3 dir/",
        "unlink 3 file/",
        "unlink 3 file",
        "unlink 3 file",
        "unlink 3 missing/",
      ];
      expect(await errors(script)).toEqual([
        0,
        EXIST,
        EXIST,
        NOENT,
        0,
        NOENT,
        NOTDIR,
        NOTEMPTY,
        INVAL,
        ISDIR,
        ISDIR,
        NOTDIR,
        0,
        NOENT,
        NOENT,
      ]);
    });

    test("path_rename replaces files and empty directories only", async () => {
      const script = [
        "rename 3 file 3 other",
        "rename 3 other 3 dir/nested/file",
        "rename 3 dir/nested 3 dir/moved",
        "mkdir 3 empty",
        "mkdir 3 full",
        "mkdir 3 full/x",
        "rename 3 empty 3 full",
        "rename 3 full 3 empty/",
        "rename 3 dir/moved/file 3 empty",
        "rename 3 empty 3 dir/moved/file",
        "rename 3 dir/moved/file 3 y/",
        "rename 3 missing 3 x",
      ];
      expect(await errors(script)).toEqual([
        0,
        0,
        0,
        0,
        0,
        0,
        NOTEMPTY,
        0,
        ISDIR,
        NOTDIR,
        NOTDIR,
        NOENT,
      ]);
    });

    test("path_link links files, and neither directories nor through links", async () => {
      symlinkSync("file", join(root, "plain"));
      const lines = await runProbe(root, [
        "link 3 file 3 second 0",
        "stat 3 second 0",
        "link 3 file 3 second 0",
        "link 3 dir 3 other 0",
        "link 3 plain 3 third 1",
        "link 3 missing 3 other 0",
        "link 3 file 3 other/ 0",
      ]);
      expect(lines.map((line) => line.split(" ")[0])).toEqual(
        [0, 0, EXIST, PERM, INVAL, NOENT, NOENT].map(String),
      );
      expect(lines[1]).toContain("nlink=2");
    });

    test("path_open creates, excludes, truncates and tells directories from files", async () => {
      const lines = await runProbe(root, [
        "open 3 new 0 1",
        "open 3 new 0 5",
        "open 3 file 0 8",
        "stat 3 file 0",
        "open 3 file 0 2",
        "open 3 dir 0 2",
        "open 3 dir 0 0 0x40",
        "open 3 new/ 0 1",
        "open 4 x",
        "open 99 x",
      ]);
      expect(lines).toEqual([
        "0 4",
        `${EXIST}`,
        "0 5",
        expect.stringMatching(/^0 type=4 size=0/),
        `${NOTDIR}`,
        "0 6",
        `${ISDIR}`,
        `${ISDIR}`,
        `${NOTDIR}`,
        "8",
      ]);
    });

    test("path_filestat_set_times sets what its flags name", async () => {
      const lines = await runProbe(root, [
        "times 3 file 5000000000 7000000000 5 0",
        "mtime 3 file",
        "times 3 file 0 9000000000 4 0",
        "mtime 3 file",
        "times 3 file 1767323045123456789 1767323045123456788 5 0",
        "mtime 3 file",
        "times 3 file 0 0 12 0",
        "times 3 file 0 0 10 0",
      ]);
      expect(lines.slice(0, 7)).toEqual([
        "0",
        "0 5000000000 7000000000",
        "0",
        "0 5000000000 9000000000",
        "0",
        "0 1767323045123456789 1767323045123456788",
        `${INVAL}`,
      ]);
      expect(lines[7]).toBe("0");
    });
  });

  describe("what a volume must not lead to", () => {
    test("path_open refuses devices, pipes and sockets that lie in a volume", async () => {
      Bun.spawnSync(["mkfifo", join(root, "pipe")]);
      const listener = Bun.listen({ unix: join(root, "sock"), socket: { data: () => undefined } });
      const script = ["open 3 pipe 0 0 2", "open 3 pipe 0 0 0x40", "open 3 sock 0 0 2"];
      const found = await errors([...script, "stat 3 pipe 0"]);
      listener.stop();
      expect(found).toEqual([PERM, PERM, PERM, 0]);
    });

    test("path_open of a device node answers EPERM and leaves it untouched", async () => {
      const found = await runProbe("/dev", ["open 3 tty 1 0 2", "open 3 null 1 0 0x42"]);
      expect(found.map((line) => line.split(" ")[0])).toEqual([`${PERM}`, `${PERM}`]);
    });

    test("a read-only preopen answers EROFS to everything that would change it", async () => {
      const script = [
        "open 3 file 0 0 0x42",
        "open 3 new 0 1 2",
        "open 3 file 0 8 2",
        "mkdir 3 x",
        "rmdir 3 dir",
        "unlink 3 file",
        "rename 3 file 3 x",
        "link 3 file 3 x 0",
        "symlink file 3 x",
        "times 3 file 5 5 5 0",
        "fdtimes 3 5 5 5",
        "open 3 file 0 0 2",
        "open 3 dir 0 2",
        "mkdir 5 x",
        "write 4 x",
        "setsize 4 0",
        "readdir 3 1000 0",
      ];
      expect(await errors(script, { readOnly: true })).toEqual([
        ...Array.from({ length: 11 }, () => ROFS),
        0,
        0,
        ROFS,
        8,
        76,
        0,
      ]);
      expect(readFileSync(join(root, "file"), "utf8")).toBe("inside");
    });
  });
});
