import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RIGHTS } from "./abi.ts";
import { runProbe, runRawCalls } from "./testing/run-probe.ts";

const BADF = "8";
const BUSY = "10";
const EXIST = "20";
const INVAL = "28";
const ISDIR = "31";
const NAMETOOLONG = 37;
const NOENT = "44";
const NOTDIR = "54";
const NOTSOCK = 57;
const PERM = "63";
const ROFS = "69";
const NOTCAPABLE = "76";

describe("corners of preview 1", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wasi-edges-"));
    writeFileSync(join(root, "file"), "0123456789");
    mkdirSync(join(root, "dir"));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  /** Each call with what it answered, so that a failure tells which one it was. */
  async function expectAnswers(
    steps: readonly (readonly [call: string, want: string])[],
    options: { readonly readOnly?: boolean } = {},
  ): Promise<void> {
    const script = steps.map(([call]) => call);
    const lines = await runProbe(root, script, options);
    const seen = lines.map((line, index) => `${script[index]} → ${line.trimEnd()}`);
    expect(seen).toEqual(steps.map(([call, want]) => `${call} → ${want}`));
  }

  function raw(script: readonly string[], ports: readonly number[] = []): Promise<number[]> {
    const preopens = [{ guestPath: "/data", hostPath: root, readOnly: false }];
    return runRawCalls(script, { preopens, ports });
  }

  describe("rights", () => {
    test("what a descriptor may not do answers ENOTCAPABLE, function by function", async () => {
      const calls: readonly (readonly [call: string, right: number])[] = [
        ["mkdir 3 new", RIGHTS.pathCreateDirectory],
        ["open 3 new 0 1", RIGHTS.pathCreateFile],
        ["link 3 file 3 new 0", RIGHTS.pathLinkSource],
        ["link 3 file 3 new 0", RIGHTS.pathLinkTarget],
        ["open 3 file", RIGHTS.pathOpen],
        ["readdir 3 100 0", RIGHTS.fdReaddir],
        ["readlink 3 file 10", RIGHTS.pathReadlink],
        ["rename 3 file 3 new", RIGHTS.pathRenameSource],
        ["rename 3 file 3 new", RIGHTS.pathRenameTarget],
        ["stat 3 file 0", RIGHTS.pathFilestatGet],
        ["open 3 file 0 8", RIGHTS.pathFilestatSetSize],
        ["times 3 file 1 1 5 0", RIGHTS.pathFilestatSetTimes],
        ["fdfilestat 3", RIGHTS.fdFilestatGet],
        ["fdtimes 3 1 1 5", RIGHTS.fdFilestatSetTimes],
        ["symlink file 3 new", RIGHTS.pathSymlink],
        ["rmdir 3 dir", RIGHTS.pathRemoveDirectory],
        ["unlink 3 file", RIGHTS.pathUnlinkFile],
        ["setflags 3 1", RIGHTS.fdFdstatSetFlags],
        ["sync 3", RIGHTS.fdSync],
        ["datasync 3", RIGHTS.fdDatasync],
      ];
      const all = 0x0fff_fe19 & ~RIGHTS.pollFdReadwrite & ~RIGHTS.fdFilestatSetSize;
      for (const [call, right] of calls) {
        const lines = await runProbe(root, [`setrights 3 ${all & ~right} 0`, call]);
        expect([call, ...lines.map((line) => line.trim())]).toEqual([call, "0", NOTCAPABLE]);
      }
      expect(readdirSync(root).sort()).toEqual(["dir", "file"]);
    });

    test("what a file may not do answers ENOTCAPABLE, reading and writing EBADF", async () => {
      await expectAnswers([
        ["open 3 file 0 0 0x8", "0 4"],
        ["read 4 1", BADF],
        ["write 4 x", `${BADF} 0`],
        ["pread 4 1 0", NOTCAPABLE],
        ["pwrite 4 x 0", `${NOTCAPABLE} 0`],
        ["seek 4 0 0", `${NOTCAPABLE} 0`],
        ["tell 4", `${NOTCAPABLE} 0`],
        ["sync 4", NOTCAPABLE],
        ["datasync 4", NOTCAPABLE],
        ["advise 4 0 1 0", NOTCAPABLE],
        ["allocate 4 0 1", NOTCAPABLE],
        ["setsize 4 1", NOTCAPABLE],
        ["fdfilestat 4", NOTCAPABLE],
        ["fdtimes 4 1 1 5", NOTCAPABLE],
        ["poll r:4", "0 r:4!8"],
        ["setflags 4 1", "0"],
        ["fdstat 4", "0 type=4 flags=1 rights=8 inheriting=0"],
      ]);
    });

    test("inheriting rights bound what is opened, and what is opened below that", async () => {
      const inheriting = RIGHTS.fdRead | RIGHTS.pathOpen | RIGHTS.fdReaddir;
      await expectAnswers([
        [`open 3 dir 0 2 ${RIGHTS.pathOpen | RIGHTS.pathCreateFile} 0 ${inheriting}`, "0 4"],
        ["fdstat 4", "0 type=3 flags=0 rights=2400 inheriting=6002"],
        ["open 4 new 0 1", "0 5"],
        ["fdstat 5", "0 type=4 flags=0 rights=2 inheriting=0"],
        ["write 5 x", `${BADF} 0`],
        ["open 4 . 0 2", "0 6"],
        ["fdstat 6", "0 type=3 flags=0 rights=6000 inheriting=6002"],
        ["open 6 more 0 1", NOTCAPABLE],
      ]);
    });

    test("seeking needs its right, telling is part of it", async () => {
      await expectAnswers([
        [`open 3 file 0 0 ${RIGHTS.fdTell}`, "0 4"],
        ["tell 4", "0 0"],
        ["seek 4 0 1", "0 0"],
        ["seek 4 1 1", `${NOTCAPABLE} 0`],
        [`open 3 file 0 0 ${RIGHTS.fdSeek}`, "0 5"],
        ["tell 5", "0 0"],
      ]);
    });
  });

  describe("fd_readdir", () => {
    test("any buffer that holds one entry reads the whole directory, inodes and all", async () => {
      const capacities = [34, 35, 48, 64, 100, 1000, 65_536];
      const script = ["many 3 100", ...capacities.map((capacity) => `list 3 ${capacity}`)];
      expect(await runProbe(root, script)).toEqual(["0", ...capacities.map(() => "0 104")]);
    });

    test("a buffer too small for an entry is filled: the guest takes a larger one", async () => {
      await expectAnswers([
        ["readdir 3 0 0", "0 ..."],
        ["readdir 3 24 0", "0 ..."],
        ["readdir 3 25 0", "0 .:3:1 ..."],
        ["list 3 25", "0 stuck at 1"],
        ["readdir 3 26 1", "0 ..:3:2 ..."],
      ]);
    });

    test("cookies go on where they were while entries come and vanish", async () => {
      await expectAnswers([
        ["many 3 3", "0"],
        ["readdir 3 1000 0", "0 .:3:1 ..:3:2 dir:3:3 f.0:4:4 f.1:4:5 f.2:4:6 file:4:7"],
        ["unlink 3 f.0", "0"],
        ["unlink 3 f.2", "0"],
        ["mkdir 3 a", "0"],
        ["readdir 3 1000 3", "0 f.1:4:5 file:4:7"],
        ["readdir 3 1000 7", "0"],
        ["readdir 3 1000 -1", "0"],
        ["readdir 3 1000 0", "0 .:3:1 ..:3:2 a:3:3 dir:3:4 f.1:4:5 file:4:6"],
      ]);
    });

    test("two descriptors of a directory read it each by itself", async () => {
      await expectAnswers([
        ["open 3 dir 0 2", "0 4"],
        ["open 3 dir 0 2", "0 5"],
        ["readdir 4 100 0", "0 .:3:1 ..:3:2"],
        ["open 4 x 0 1 0", "0 6"],
        ["readdir 5 100 0", "0 .:3:1 ..:3:2 x:4:3"],
        ["readdir 4 100 2", "0"],
        ["unlink 4 x", "0"],
        ["rmdir 3 dir", "0"],
        ["readdir 5 100 0", NOENT],
        ["open 5 y 0 1", NOENT],
      ]);
    });
  });

  describe("files", () => {
    test("pwrite goes where it is told also when the file appends", async () => {
      await expectAnswers([
        ["open 3 file 0 0 0x3fffffff 1", "0 4"],
        ["pwrite 4 ab 2", "0 2"],
        ["tell 4", "0 0"],
        ["write 4 end", "0 3"],
        ["tell 4", "0 13"],
        ["pread 4 20 0", "0 01ab456789end"],
        ["unlink 3 file", "0"],
        ["pwrite 4 Z 0", "0 1"],
        ["pread 4 3 0", "0 Z1a"],
      ]);
    });

    test("positions beyond the end leave a hole of zeros", async () => {
      await expectAnswers([
        ["open 3 new 0 1", "0 4"],
        ["seek 4 4 0", "0 4"],
        ["write 4 x", "0 1"],
        ["seek 4 0 0", "0 0"],
        ["read 4 9", "0 %00%00%00%00x"],
        ["seek 4 9223372036854775807 0", `${INVAL} 0`],
        ["pread 4 1 9223372036854775807", INVAL],
        ["pwrite 4 x -1", `${INVAL} 0`],
      ]);
    });

    test("fd_allocate and fd_filestat_set_size bound what a guest can ask for", async () => {
      await expectAnswers([
        ["open 3 file", "0 4"],
        ["allocate 4 -1 1", INVAL],
        ["allocate 4 1 -1", INVAL],
        ["allocate 4 0 9223372036854775807", "22"],
        ["setsize 4 9223372036854775807", "22"],
        ["setsize 4 -9223372036854775808", INVAL],
        ["open 3 file 0 0 0x200002", "0 5"],
        ["setsize 5 1", NOTCAPABLE],
        ["advise 4 -1 1 0", INVAL],
        ["advise 4 0 0 5", "0"],
      ]);
      expect(readFileSync(join(root, "file"), "utf8")).toBe("0123456789");
    });

    test("nothing about a file of a read-only volume changes, its times neither", async () => {
      const before = statSync(join(root, "file"));
      await expectAnswers(
        [
          ["open 3 file 0 0 0x3fffbfbf", ROFS],
          ["open 3 file 0 0 0x3fbffebf", "0 4"],
          ["fdtimes 4 5 5 5", ROFS],
          ["fdtimes 4 0 0 10", ROFS],
          ["allocate 4 0 100", NOTCAPABLE],
          ["setsize 4 0", NOTCAPABLE],
          ["setflags 4 1", "0"],
          ["write 4 x", `${BADF} 0`],
          ["read 4 3", "0 012"],
          ["open 3 file 0 1 2", ROFS],
        ],
        { readOnly: true },
      );
      expect(statSync(join(root, "file")).mtimeMs).toBe(before.mtimeMs);
    });

    test("fd_sync and fd_datasync work on files and directories", async () => {
      await expectAnswers([
        ["open 3 file", "0 4"],
        ["write 4 x", "0 1"],
        ["sync 4", "0"],
        ["datasync 4", "0"],
        ["sync 3", "0"],
        ["datasync 3", "0"],
        ["sync 1", NOTCAPABLE],
      ]);
    });

    test("times may be given, be now, and stay; anything else is EINVAL", async () => {
      await expectAnswers([
        ["times 3 file 5 6 5 0", "0"],
        ["times 3 file 0 0 0 0", "0"],
        ["mtime 3 file", "0 5 6"],
        ["times 3 file 7 0 1 0", "0"],
        ["mtime 3 file", "0 7 6"],
        ["times 3 file 0 0 3 0", INVAL],
        ["times 3 file 0 0 16 0", INVAL],
        ["times 3 file 0 0 5 2", INVAL],
        ["times 3 file/ 1 1 5 0", NOTDIR],
        ["times 3 dir/ 1 2 5 0", "0"],
        ["mtime 3 dir", "0 1 2"],
        ["times 3 missing 1 1 5 0", NOENT],
      ]);
      const now = BigInt(Date.now()) * 1_000_000n;
      const [, line = ""] = await runProbe(root, ["times 3 file 0 0 10 0", "mtime 3 file"]);
      const [, atime = "0", mtime = "0"] = line.split(" ");
      expect([BigInt(atime) - now < 60_000_000_000n, atime === mtime]).toEqual([true, true]);
    });
  });

  describe("paths", () => {
    test("path_open takes no flags that it does not know", async () => {
      await expectAnswers([
        ["open 3 file 2", INVAL],
        ["open 3 file 0 16", INVAL],
        ["open 3 file 0 0 2 32", INVAL],
        ["stat 3 file 2", INVAL],
        ["link 3 file 3 new 2", INVAL],
        ["setflags 3 32", INVAL],
      ]);
    });

    test("path_open tells every mixture of O_CREAT, O_EXCL, O_DIRECTORY and O_TRUNC", async () => {
      symlinkSync("missing", join(root, "dangling"));
      await expectAnswers([
        ["open 3 new 0 4", NOENT],
        ["open 3 new 0 8", NOENT],
        ["open 3 new 0 3", INVAL],
        ["open 3 dir 0 1 2", ISDIR],
        ["open 3 dir 0 5 2", EXIST],
        ["open 3 dir 0 10 2", ISDIR],
        ["open 3 file 0 12", "0 4"],
        ["open 3 new 0 13", "0 5"],
        ["open 3 new 0 13", EXIST],
        ["open 3 new/ 0 0", NOTDIR],
        ["open 3 more/ 0 1", ISDIR],
        ["open 3 more/. 0 1", ISDIR],
        ["open 3 dangling 1 3", INVAL],
        ["open 3 dangling/ 1 0", NOENT],
        ["open 3 dir/. 0 2", "0 6"],
        ["open 3 dir/.. 0 2", "0 7"],
      ]);
      expect(existsSync(join(root, "missing"))).toBe(false);
    });

    test("names that end in a dot or two are no entries to make, move or remove", async () => {
      await expectAnswers([
        ["mkdir 3 new/.", NOENT],
        ["mkdir 3 dir/.", EXIST],
        ["mkdir 3 dir/..", EXIST],
        ["mkdir 3 file/.", NOTDIR],
        ["rmdir 3 dir/.", INVAL],
        ["rmdir 3 file/.", NOTDIR],
        ["unlink 3 file/.", NOTDIR],
        ["unlink 3 dir/.", ISDIR],
        ["unlink 3 dir/..", ISDIR],
        ["rename 3 dir/. 3 new", BUSY],
        ["rename 3 dir 3 dir/..", BUSY],
        ["rename 3 file/. 3 new", NOTDIR],
        ["rename 3 dir 3 new/.", NOENT],
        ["symlink file 3 new/.", NOENT],
        ["symlink file 3 dir/.", EXIST],
        ["link 3 file/. 3 new 0", NOTDIR],
        ["link 3 dir/. 3 new 0", PERM],
        ["link 3 file/ 3 new 0", NOTDIR],
        ["link 3 file 3 dir/ 0", EXIST],
        ["link 3 file 3 new/. 0", NOENT],
        ["readlink 3 file/. 10", NOTDIR],
        ["stat 3 file/. 0", NOTDIR],
        ["rename 3 dir 3 dir/below", INVAL],
      ]);
      expect(readdirSync(root).sort()).toEqual(["dir", "file"]);
    });

    test("a trailing slash follows a link where an entry is not meant itself", async () => {
      symlinkSync("dir", join(root, "link"));
      symlinkSync("file", join(root, "plain"));
      await expectAnswers([
        ["open 3 link/ 0 2", "0 4"],
        ["open 3 plain/ 0 0", NOTDIR],
        ["unlink 3 plain/", NOTDIR],
        ["rmdir 3 link/", NOTDIR],
        ["rename 3 link/ 3 new", NOTDIR],
        ["readlink 3 link/ 10", INVAL],
        ["readlink 3 dir 10", INVAL],
        ["readlink 3 missing 10", NOENT],
        ["readlink 3 link 0", "0"],
        ["readlink 3 link 3", "0 dir"],
        ["readlink 3 link 2", "0 di"],
      ]);
    });

    test("a byte order mark is part of a name", async () => {
      await expectAnswers([
        ["open 3 %ef%bb%bffile", NOENT],
        ["open 3 %ef%bb%bffile 0 1", "0 4"],
      ]);
      expect(readdirSync(root).sort()).toEqual(["dir", "file", "\ufefffile"]);
    });

    test("path_rename and path_link work between two directories", async () => {
      await expectAnswers([
        ["open 3 dir 0 2", "0 4"],
        ["link 3 file 4 second 0", "0"],
        ["rename 3 file 4 first", "0"],
        ["rename 4 first 4 second", "0"],
        ["stat 4 first 0", "0 type=4 size=10 nlink=2"],
        ["rename 4 second 3 file", "0"],
        ["link 4 first 3 file 0", EXIST],
      ]);
    });
  });

  describe("descriptors", () => {
    test("fd_renumber takes its rights, flags and position along", async () => {
      await expectAnswers([
        ["open 3 file 0 0 0x2a 4", "0 4"],
        ["open 3 dir 0 2", "0 5"],
        ["read 4 3", "0 012"],
        ["renumber 4 5", "0"],
        ["fdstat 5", "0 type=4 flags=4 rights=2a inheriting=0"],
        ["read 5 3", "0 345"],
        ["renumber 5 5", "0"],
        ["renumber 5 -1", BADF],
        ["renumber 5 4", BADF],
        ["open 3 dir 0 2", "0 4"],
      ]);
    });

    test("fd_prestat_dir_name wants room for the name, and only preopens have one", async () => {
      const calls = {
        "fd_prestat_get 3 B": 0,
        "fd_prestat_dir_name 3 B 5": 0,
        "fd_prestat_dir_name 3 B 100": 0,
        "fd_prestat_dir_name 3 B 4": NAMETOOLONG,
        "fd_prestat_dir_name 3 B 0": NAMETOOLONG,
        "fd_prestat_get 1 B": 8,
        "fd_prestat_get 9 B": 8,
        "fd_prestat_dir_name 1 B 100": 8,
      };
      expect(await raw(Object.keys(calls))).toEqual(Object.values(calls));
    });

    test("sockets and descriptors of other kinds are told apart", async () => {
      const calls = {
        "sock_accept 1 0 B": NOTSOCK,
        "sock_accept 4 0 B": NOTSOCK,
        "sock_accept 99 0 B": 8,
        "sock_accept 3 1 B": 28,
        "sock_accept 3 0x8000 B": 28,
        "sock_recv 1 V 2 0 B B+4": NOTSOCK,
        "sock_recv 3 V 2 0 B B+4": 53,
        "sock_send 4 V 2 0 B": NOTSOCK,
        "sock_shutdown 4 1": NOTSOCK,
        "sock_shutdown 3 1": 53,
        "fd_read 4 V 2 B": 8,
        "fd_seek 3 0 0 B": 70,
        "fd_tell 1 B": 70,
        "fd_pread 3 V 2 0 B": 70,
        "fd_allocate 3 0 1": 76,
        "fd_readdir 3 B 100 0 B": 76,
        "path_open 3 0 P 4 0 2 0 0 B": 54,
        "path_unlink_file 1 P 4": 54,
      };
      const answers = await raw(Object.keys(calls), [80]);
      expect(Object.keys(calls).map((call, index) => [call, answers[index]])).toEqual(
        Object.entries(calls),
      );
    });
  });
});
