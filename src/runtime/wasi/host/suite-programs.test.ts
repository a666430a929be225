import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DIRECTORY_RIGHTS, RIGHTS } from "./abi.ts";
import { runProbe, startProbe } from "./testing/run-probe.ts";

/**
 * What the programs of the WASI test suite want of preview 1 (github.com/WebAssembly/wasi-testsuite,
 * tests/rust and tests/c), each as a script of our own probe under the program's name. Where the
 * suite takes several answers, the one here is Linux'.
 */
type Step = readonly [call: string, want: string | RegExp];

const BADF = "8";
const EXIST = "20";
const INVAL = "28";
const ISDIR = "31";
const LOOP = "32";
const NOENT = "44";
const NOTDIR = "54";
const NOTEMPTY = "55";
const NOTSOCK = "57";
const PERM = "63";
const NOTCAPABLE = "76";
const OK = "0";

const read = RIGHTS.fdRead;
const write = RIGHTS.fdWrite;
const stat = RIGHTS.fdFilestatGet;
const CREAT = 1;
const DIRECTORY = 2;
const EXCL = 4;
const TRUNC = 8;

/** A directory made and opened with the rights the suite's own scratch directories have. */
const scratch: readonly Step[] = [
  ["mkdir 3 work", OK],
  [`open 3 work 0 2 ${scratchRights()} 0 ${fileRights()}`, "0 4"],
];

function scratchRights(): number {
  return DIRECTORY_RIGHTS & ~(RIGHTS.fdSync | RIGHTS.fdDatasync);
}

function fileRights(): number {
  return 0x3fff_ffff & ~(RIGHTS.pathSymlink | RIGHTS.sockAccept);
}

const programs: Readonly<Record<string, readonly Step[]>> = {
  big_random_buf: [["random 1024", "0 filled"]],
  clock_time_get: [["clock 1", "0 0 0 forward resolution"]],
  "clock_getres-realtime": [["clock 0", "0 0 0 forward resolution"]],
  close_preopen: [
    ["open 3 . 0 2", "0 4"],
    ["close 3", OK],
    ["fdstat 4", /^0 type=3/],
    ["fdstat 3", BADF],
  ],
  dangling_fd: [
    ["open 3 f 0 1 0", "0 4"],
    ["open 3 f 0 0 0", "0 5"],
    ["unlink 3 f", OK],
    ["open 3 f 0 1 0", "0 6"],
    ["fdfilestat 4", NOTCAPABLE],
    ["mkdir 3 d", OK],
    ["open 3 d 0 2 0", "0 7"],
    ["rmdir 3 d", OK],
    ["mkdir 3 d", OK],
    ["readdir 7 100 0", NOTCAPABLE],
  ],
  dangling_symlink: [
    ["symlink target 3 link", OK],
    ["open 3 link 0 2 0", LOOP],
    ["open 3 link 0 0 0", LOOP],
    ["unlink 3 link", OK],
  ],
  dir_fd_op_failures: [
    ["open 3 . 0 2", "0 4"],
    ["fdfilestat 4", /^0 type=3/],
    ["read 4 128", `${BADF} `],
    ["pread 4 128 0", `${BADF} `],
    ["write 4 x", `${BADF} 0`],
    ["pwrite 4 x 0", `${BADF} 0`],
    ["seek 4 0 0", `${BADF} 0`],
    ["seek 4 0 1", `${BADF} 0`],
    ["seek 4 0 2", `${BADF} 0`],
    ["tell 4", `${BADF} 0`],
    ["allocate 4 0 1", NOTCAPABLE],
    ["setsize 4 0", NOTCAPABLE],
  ],
  directory_seek: [
    ["mkdir 3 d", OK],
    [`open 3 d 0 2 ${RIGHTS.fdSeek}`, "0 4"],
    ["seek 4 0 1", `${BADF} 0`],
    ["fdstat 4", "0 type=3 flags=0 rights=0 inheriting=3fffffff"],
  ],
  fd_advise: [
    [`open 3 f 0 1 ${read | write | stat | RIGHTS.fdAdvise | RIGHTS.fdFilestatSetSize}`, "0 4"],
    ["setsize 4 100", OK],
    ["advise 4 10 50 0", OK],
    ["fdfilestat 4", /size=100 /],
  ],
  fd_fdstat_set_rights: [
    ...scratch,
    [`open 4 f 0 1 ${read | write | RIGHTS.fdSeek | RIGHTS.fdTell}`, "0 5"],
    ["write 5 data", "0 4"],
    ["seek 5 0 0", "0 0"],
    ["read 5 4", "0 data"],
    [`setrights 5 ${RIGHTS.fdSeek | RIGHTS.fdTell} 0`, OK],
    ["fdstat 5", "0 type=4 flags=0 rights=24 inheriting=0"],
    ["read 5 4", `${BADF} `],
    ["write 5 x", `${BADF} 0`],
    [`setrights 5 ${read | RIGHTS.fdSeek} ${read}`, NOTCAPABLE],
  ],
  fd_filestat_set: [
    [`open 3 f 0 1 ${read | write | stat | RIGHTS.fdFilestatSetSize | (1 << 23)}`, "0 4"],
    ["setsize 4 100", OK],
    ["fdtimes 4 7 1767323045123456788 5", OK],
    ["fdtimes 4 0 1767323045123456688 4", OK],
    ["mtime 3 f", "0 7 1767323045123456688"],
    ["fdfilestat 4", /size=100 /],
  ],
  fd_flags_set: [
    [
      `open 3 f 0 1 ${read | write | RIGHTS.fdSeek | RIGHTS.fdTell | RIGHTS.fdFdstatSetFlags} 1`,
      "0 4",
    ],
    ["write 4 aaaa", "0 4"],
    ["seek 4 0 0", "0 0"],
    ["read 4 4", "0 aaaa"],
    ["seek 4 0 0", "0 0"],
    ["write 4 bbbb", "0 4"],
    ["seek 4 4 0", "0 4"],
    ["read 4 9", "0 bbbb"],
    ["setflags 4 0", OK],
    ["seek 4 0 0", "0 0"],
    ["write 4 cccc", "0 4"],
    ["seek 4 0 0", "0 0"],
    ["read 4 9", "0 ccccbbbb"],
  ],
  fd_readdir: [
    ...scratch,
    ["readdir 4 256 0", "0 .:3:1 ..:3:2"],
    ["open 4 file 0 1", "0 5"],
    ["readdir 4 256 0", "0 .:3:1 ..:3:2 file:4:3"],
    ["readdir 4 256 2", "0 file:4:3"],
    ["unlink 4 file", OK],
    ["many 4 1000", OK],
    ["list 4 256", "0 1002"],
    ["fewer 4 1000", OK],
    ["rmdir 3 work", OK],
  ],
  file_allocate: [
    ["open 3 f 0 1", "0 4"],
    ["allocate 4 0 100", OK],
    ["allocate 4 10 10", OK],
    ["fdfilestat 4", /size=100 /],
    ["allocate 4 90 20", OK],
    ["fdfilestat 4", /size=110 /],
  ],
  file_pread_pwrite: [
    [`open 3 f 0 1 ${read | write | RIGHTS.fdSeek}`, "0 4"],
    ["pwrite 4 0123 0", "0 4"],
    ["pread 4 4 0", "0 0123"],
    ["pread 4 4 2", "0 23"],
    ["pwrite 4 10 2", "0 2"],
    ["pread 4 9 0", "0 0110"],
    ["pread 4 9 9", "0 "],
  ],
  file_seek_tell: [
    [`open 3 f 0 1 ${read | write | RIGHTS.fdSeek | RIGHTS.fdTell}`, "0 4"],
    ["tell 4", "0 0"],
    ["write 4 0123456789", "0 10"],
    ["tell 4", "0 10"],
    ["seek 4 -5 1", "0 5"],
    ["seek 4 0 0", "0 0"],
    ["seek 4 1000 1", "0 1000"],
    ["seek 4 -2000 1", `${INVAL} 0`],
    ["seek 4 0 0", "0 0"],
    ["read 4 10", "0 0123456789"],
    ["tell 4", "0 10"],
  ],
  file_truncation: [
    [`open 3 f 0 1 ${write}`, "0 4"],
    ["write 4 gone", "0 4"],
    [`open 3 f 0 ${CREAT | TRUNC} ${read | write}`, "0 5"],
    ["read 5 100", "0 "],
  ],
  file_unbuffered_write: [
    [`open 3 f 0 1 ${read}`, "0 4"],
    [`open 3 f 0 0 ${write}`, "0 5"],
    ["write 5 1", "0 1"],
    ["read 4 1", "0 1"],
  ],
  fstflags_validate: [
    [`open 3 f 0 1 ${read | RIGHTS.fdFilestatSetTimes}`, "0 4"],
    ["fdtimes 4 100 200 12", INVAL],
    ["fdtimes 4 100 200 3", INVAL],
    ["fdtimes 4 100 200 16", INVAL],
  ],
  interesting_paths: [
    ["mkdir 3 dir", OK],
    ["mkdir 3 dir/nested", OK],
    ["open 3 dir/nested/file 0 1 0", "0 4"],
    ["open 3 /dir/nested/file 0 0 0", PERM],
    ["open 3 dir/.//nested/../../dir/nested/../nested///./file 0 0 0", "0 5"],
    ["open 3 dir/nested/file%00 0 0 0", INVAL],
    ["open 3 dir/nested/file/ 0 0 0", NOTDIR],
    ["open 3 dir/nested/file/// 0 0 0", NOTDIR],
    ["open 3 dir/nested/ 0 0 0", "0 6"],
    ["open 3 dir/nested/// 0 0 0", "0 7"],
    ["open 3 dir/nested/../../../data/dir/nested/file 0 0 0", PERM],
  ],
  isatty: [
    ["open 3 f 0 1 0", "0 4"],
    ["fdstat 4", /^0 type=4/],
  ],
  nofollow_errors: [
    ["mkdir 3 target", OK],
    ["symlink target 3 link", OK],
    ["open 3 link 0 2 0", LOOP],
    ["open 3 link 0 0 0", LOOP],
    ["open 3 link 1 2 0", "0 4"],
    ["rmdir 3 target", OK],
    ["open 3 target 0 1 0", "0 5"],
    ["open 3 link 0 2 0", LOOP],
    ["open 3 link 0 0 0", LOOP],
    ["open 3 link 1 2 0", NOTDIR],
  ],
  overwrite_preopen: [
    ["open 3 . 0 2", "0 4"],
    ["renumber 4 3", OK],
    ["fdfilestat 3", /^0 type=3/],
    ["prestat 3", BADF],
    ["fdstat 4", BADF],
    ["close 3", OK],
  ],
  path_exists: [
    ["mkdir 3 sub", OK],
    ["stat 3 sub 0", /type=3/],
    ["stat 3 sub 1", /type=3/],
    ["open 3 sub/file 0 1 0", "0 4"],
    ["stat 3 sub/file 1", /type=4/],
    ["symlink sub/file 3 link1", OK],
    ["stat 3 link1 0", /type=7/],
    ["stat 3 link1 1", /type=4/],
    ["symlink sub 3 link2", OK],
    ["stat 3 link2 0", /type=7/],
    ["stat 3 link2 1", /type=3/],
  ],
  path_filestat: [
    ...scratch,
    [`open 4 f 0 1 ${read | write | RIGHTS.pathFilestatGet} 17`, "0 5"],
    ["fdstat 5", "0 type=4 flags=17 rights=42 inheriting=0"],
    ["times 4 f 0 1767323045123456688 4 0", OK],
    ["mtime 4 f", / 1767323045123456688$/],
    ["times 4 f 0 1 12 0", INVAL],
    ["mtime 4 f", / 1767323045123456688$/],
    ["times 4 f 0 0 3 0", INVAL],
  ],
  path_link: [
    ...scratch,
    ["open 4 file 0 1", "0 5"],
    ["link 4 file 4 link 0", OK],
    ["open 4 link", "0 6"],
    ["fdfilestat 5", /nlink=2/],
    ["fdfilestat 6", /nlink=2/],
    ["unlink 4 link", OK],
    ["mkdir 4 sub", OK],
    ["open 4 sub 0 2", "0 7"],
    ["link 4 file 7 link 0", OK],
    ["link 4 file 4 file 0", EXIST],
    ["link 4 file 4 sub 0", EXIST],
    ["link 4 sub 4 link 0", PERM],
    ["link 4 file 4 link/ 0", NOENT],
    ["symlink target 4 dangling", OK],
    ["link 4 dangling 4 link 0", OK],
    ["link 4 file 4 dangling 0", EXIST],
    ["link 4 dangling 4 other 1", INVAL],
    ["symlink loop 4 loop", OK],
    ["link 4 loop 4 again 0", OK],
  ],
  path_open_create_existing: [
    ["open 3 f 0 1 0", "0 4"],
    [`open 3 f 0 ${CREAT | EXCL} 0`, EXIST],
  ],
  path_open_dirfd_not_dir: [
    ["open 3 f 0 1 0", "0 4"],
    ["open 4 foo 0 1 0", NOTDIR],
  ],
  path_open_missing: [["open 3 f 0 0 0", NOENT]],
  path_open_nonblock: [["open 3 . 0 0 0 4", "0 4"]],
  path_open_preopen: [
    ["open 3 . 0 0 0x0fbffe19", "0 4"],
    ["open 3 . 0 0 0", "0 5"],
    [`open 3 . 0 ${DIRECTORY} 0`, "0 6"],
    [`open 3 . 0 ${DIRECTORY} ${read}`, "0 7"],
    [`open 3 . 0 ${DIRECTORY} ${read | write}`, ISDIR],
  ],
  path_open_read_write: [
    ["open 3 f 0 1 0", "0 4"],
    [`open 3 f 0 0 ${read}`, "0 5"],
    ["fdstat 5", "0 type=4 flags=0 rights=2 inheriting=0"],
    ["read 5 100", "0 "],
    ["write 5 x", `${BADF} 0`],
    [`open 3 f 0 0 ${write}`, "0 6"],
    ["fdstat 6", "0 type=4 flags=0 rights=40 inheriting=0"],
    ["read 6 100", `${BADF} `],
    ["write 6 0123456789", "0 10"],
    [`open 3 f 0 0 ${read | write | stat}`, "0 7"],
    ["read 7 100", "0 0123456789"],
    ["write 7 abcde", "0 5"],
    ["fdfilestat 7", /size=15 /],
  ],
  path_open_read_without_rights: [
    ...scratch,
    ["open 4 file 0 1 0", "0 5"],
    [`setrights 4 ${scratchRights()} ${fileRights() & ~read}`, OK],
    [`open 4 file 0 0 ${read}`, "0 6"],
    ["fdstat 6", "0 type=4 flags=0 rights=0 inheriting=0"],
    ["read 6 1", `${BADF} `],
  ],
  path_rename: [
    ["mkdir 3 source", OK],
    ["rename 3 source 3 target", OK],
    ["open 3 source 0 2 0", NOENT],
    ["open 3 target 0 2 0", "0 4"],
    ["mkdir 3 source", OK],
    ["rename 3 source 3 target", OK],
    ["mkdir 3 source", OK],
    ["open 3 target/file 0 1 0", "0 5"],
    ["rename 3 source 3 target", NOTEMPTY],
    ["rename 3 source 3 target/file", NOTDIR],
    ["rename 3 target/file 3 f", OK],
    ["open 3 g 0 1 0", "0 6"],
    ["rename 3 f 3 g", OK],
    ["open 3 f 0 0 0", NOENT],
    ["rename 3 g 3 source", ISDIR],
  ],
  path_rename_dir_trailing_slashes: [
    ["mkdir 3 source", OK],
    ["rename 3 source/ 3 target", OK],
    ["rename 3 target 3 source/", OK],
    ["rename 3 source/ 3 target/", OK],
    ["rename 3 target 3 source", OK],
  ],
  path_symlink_trailing_slashes: [
    ["symlink source 3 target/", NOENT],
    ["symlink source 3 target", OK],
    ["unlink 3 target", OK],
    ["mkdir 3 target", OK],
    ["symlink source 3 target/", EXIST],
    ["symlink source 3 target", EXIST],
    ["open 3 file 0 1 0", "0 4"],
    ["symlink source 3 file/", NOTDIR],
    ["symlink source 3 file", EXIST],
  ],
  poll_oneoff_stdio: [["poll m:200 w:1 w:2", "0 w:1=1 w:2=1"]],
  readlink: [
    ["symlink target 3 link", OK],
    ["readlink 3 link 10", "0 target"],
    ["readlink 3 link 4", "0 targ"],
  ],
  remove_directory_trailing_slashes: [
    ["mkdir 3 d", OK],
    ["rmdir 3 d/", OK],
    ["open 3 f 0 1 0", "0 4"],
    ["rmdir 3 f", NOTDIR],
    ["rmdir 3 f/", NOTDIR],
  ],
  remove_nonempty_directory: [
    ["mkdir 3 d", OK],
    ["mkdir 3 d/nested", OK],
    ["rmdir 3 d", NOTEMPTY],
    ["rmdir 3 d/nested", OK],
    ["rmdir 3 d", OK],
  ],
  renumber: [
    [`open 3 a 0 1 ${read | write}`, "0 4"],
    [`open 3 b 0 1 ${read}`, "0 5"],
    ["renumber 4 5", OK],
    ["close 4", BADF],
    ["fdstat 5", "0 type=4 flags=0 rights=42 inheriting=0"],
    ["renumber 5 4", BADF],
    ["close 5", OK],
  ],
  sched_yield: [["yield", OK]],
  "sock_shutdown-invalid_fd": [["shutdown 9 1", BADF]],
  "sock_shutdown-not_sock": [["shutdown 1 1", NOTSOCK]],
  stdio: [
    ["open 3 f 0 1 0", "0 4"],
    ["renumber 0 4", OK],
    ["fdstat 4", /^0 type=0/],
  ],
  symlink_create: [
    ["open 3 target 0 1 0", "0 4"],
    ["symlink target 3 link", OK],
    ["open 3 link 1 0 0", "0 5"],
    ["unlink 3 link", OK],
    ["symlink / 3 link", PERM],
  ],
  symlink_filestat: [
    ["open 3 f 0 1 0", "0 4"],
    ["times 3 f 5 6 5 0", OK],
    ["symlink f 3 link", OK],
    ["times 3 link 0 7 4 0", OK],
    ["mtime 3 link", / 7$/],
    ["mtime 3 f", "0 5 6"],
    ["times 3 link 0 8 4 1", OK],
    ["mtime 3 f", "0 5 8"],
    ["mtime 3 link", / 7$/],
  ],
  symlink_loop: [
    ["symlink link 3 link", OK],
    ["open 3 link 0 0 0", LOOP],
    ["open 3 link 1 0 0", LOOP],
  ],
  truncation_rights: [
    ...scratch,
    ["fdstat 4", /^0 type=3 flags=0/],
    ["open 4 f 0 1 0", "0 5"],
    ["open 4 f 0 8 0", "0 6"],
    [`setrights 4 ${scratchRights()} ${fileRights() & ~RIGHTS.fdFilestatSetSize}`, OK],
    ["open 4 f 0 8 0", "0 7"],
    [`setrights 4 ${scratchRights() & ~RIGHTS.pathFilestatSetSize} 0`, OK],
    ["open 4 f 0 8 0", NOTCAPABLE],
  ],
  unlink_file_trailing_slashes: [
    ["mkdir 3 d", OK],
    ["unlink 3 d", ISDIR],
    ["unlink 3 d/", ISDIR],
    ["open 3 f 0 1 0", "0 4"],
    ["unlink 3 f/", NOTDIR],
    ["unlink 3 f", OK],
  ],
  lseek: [
    ["open 3 f 0 1", "0 4"],
    ["write 4 01234567", "0 8"],
    ["seek 4 4 0", "0 4"],
    ["read 4 1", "0 4"],
    ["seek 4 0 1", "0 5"],
    ["seek 4 0 2", "0 8"],
  ],
  "pwrite-with-append": [
    ["open 3 f 0 9 0x64 1", "0 4"],
    ["write 4 ab", "0 2"],
    ["seek 4 0 0", "0 0"],
    ["write 4 cd", "0 2"],
    ["seek 4 0 1", "0 4"],
    ["pwrite 4 xyz 0", "0 3"],
    ["seek 4 0 1", "0 4"],
    ["seek 4 0 2", "0 4"],
  ],
};

describe("programs of the WASI test suite", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wasi-suite-"));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  for (const [name, steps] of Object.entries(programs)) {
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
