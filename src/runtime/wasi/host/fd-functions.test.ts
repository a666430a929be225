import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProbe, startProbe } from "./testing/run-probe.ts";

describe("descriptor functions", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "wasi-fd-"));
    writeFileSync(join(root, "file"), "0123456789");
  });

  afterEach(() => rmSync(root, { recursive: true }));

  describe("files", () => {
    test("fd_read, fd_seek and fd_tell share one position", async () => {
      const lines = await runProbe(root, [
        "open 3 file",
        "read 4 3",
        "tell 4",
        "seek 4 -1 1",
        "read 4 2 2",
        "seek 4 -2 2",
        "read 4 10",
        "read 4 10",
        "seek 4 100 0",
        "read 4 10",
        "seek 4 -1 0",
        "seek 4 0 9",
        "seek 3 0 0",
        "seek 1 0 0",
      ]);
      expect(lines).toEqual([
        "0 4",
        "0 012",
        "0 3",
        "0 2",
        "0 2345",
        "0 8",
        "0 89",
        "0 ",
        "0 100",
        "0 ",
        "28 0",
        "28 0",
        "8 0",
        "70 0",
      ]);
    });

    test("fd_pread and fd_pwrite leave the position alone", async () => {
      const lines = await runProbe(root, [
        "open 3 file",
        "pwrite 4 ab 8",
        "pread 4 4 7",
        "tell 4",
        "write 4 xy z",
        "tell 4",
        "pread 4 20 0",
        "pwrite 4 end 20",
        "fdfilestat 4",
      ]);
      expect(lines).toEqual([
        "0 4",
        "0 2",
        "0 7ab",
        "0 0",
        "0 3",
        "0 3",
        "0 xyz34567ab",
        "0 3",
        expect.stringMatching(/^0 type=4 size=23/),
      ]);
    });

    test("fd_write appends when the descriptor does, also when it was told later", async () => {
      await runProbe(root, [
        "open 3 file 0 0 0x3fffffff 1",
        "write 4 A",
        "seek 4 0 0",
        "write 4 B",
        "open 3 file",
        "setflags 5 1",
        "write 5 C",
        "setflags 5 0",
        "write 5 D",
        "seek 5 0 0",
        "write 5 E",
      ]);
      expect(readFileSync(join(root, "file"), "utf8")).toBe("E123456789ABCD");
    });

    test("sizes, allocation, advice and syncing do what their names say", async () => {
      const lines = await runProbe(root, [
        "open 3 file",
        "setsize 4 4",
        "fdfilestat 4",
        "allocate 4 0 2",
        "allocate 4 10 10",
        "fdfilestat 4",
        "allocate 4 0 0",
        "advise 4 0 10 3",
        "advise 4 0 10 9",
        "advise 3 0 0 0",
        "sync 4",
        "datasync 4",
        "setsize 4 -1",
        "fdtimes 4 5000000000 6000000000 5",
        "mtime 3 file",
      ]);
      expect(lines.map((line) => line.replace(/ nlink.*/, ""))).toEqual([
        "0 4",
        "0",
        "0 type=4 size=4",
        "0",
        "0",
        "0 type=4 size=20",
        "28",
        "0",
        "28",
        "76",
        "0",
        "0",
        "28",
        "0",
        "0 5000000000 6000000000",
      ]);
    });
  });

  describe("descriptors", () => {
    test("a guest sees its streams, ports, then directories, and nothing of the host", async () => {
      const preopens = [{ guestPath: "/data", hostPath: root, readOnly: false }];
      const script = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((fd) => [`fdstat ${fd}`, `prestat ${fd}`]);
      const lines = await startProbe(script, { preopens, ports: [80, 81] }).lines;
      const stat = lines.filter((_, index) => index % 2 === 0);
      expect(stat.map((line) => line.replace(/ flags.*/, ""))).toEqual([
        "0 type=0",
        "0 type=2",
        "0 type=2",
        "0 type=6",
        "0 type=6",
        "0 type=3",
        "8",
        "8",
      ]);
      expect(lines.filter((_, index) => index % 2 === 1)).toEqual([
        "8",
        "8",
        "8",
        "0 tag=1",
        "0 tag=1",
        "0 tag=0 /data",
        "8",
        "8",
      ]);
    });

    test("args_get and environ_get give exactly what the container was given", async () => {
      const run = startProbe(["args", "env"], {
        args: ["probe", "-", "two"],
        env: [
          ["A", "1"],
          ["B", "x=y"],
        ],
      });
      expect(await run.lines).toEqual(["0 probe - two", "0 A=1 B=x=y"]);
    });

    test("fd_close frees the lowest number; a closed one answers EBADF everywhere", async () => {
      const lines = await runProbe(root, [
        "open 3 file",
        "open 3 file",
        "close 4",
        "close 4",
        "read 4 1",
        "write 4 x",
        "seek 4 0 0",
        "fdstat 4",
        "sync 4",
        "readdir 4 100 0",
        "open 4 x",
        "recv 4 1 0",
        "shutdown 4 1",
        "open 3 file",
        "close 3",
        "open 3 file",
        "read 4 2",
      ]);
      expect(lines.map((line) => line.trim().split(" ")[0])).toEqual(
        [0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 8, 0].map(String),
      );
      expect(lines[13]).toBe("0 4");
    });

    test("fd_renumber replaces the target, a preopen too", async () => {
      const lines = await runProbe(root, [
        "open 3 file",
        "open 3 file",
        "read 4 2",
        "renumber 4 5",
        "read 5 2",
        "read 4 1",
        "renumber 5 3",
        "read 3 2",
        "prestat 3",
        "renumber 3 99",
        "renumber 99 3",
        "renumber 3 3",
      ]);
      expect(lines).toEqual([
        "0 4",
        "0 5",
        "0 01",
        "0",
        "0 23",
        "8 ",
        "0",
        "0 45",
        "8",
        "8",
        "8",
        "0",
      ]);
    });

    test("rights only shrink, and what they lack is refused", async () => {
      const lines = await runProbe(root, [
        "open 3 file 0 0 0x2",
        "write 4 x",
        "seek 4 0 0",
        "setrights 4 0x42 0",
        "setrights 4 0 0",
        "read 4 1",
        "setrights 3 0x2000 0x2",
        "mkdir 3 x",
        "open 3 file 0 1",
        "open 3 file 0 0 0x42",
        "fdstat 5",
        "write 5 x",
      ]);
      expect(lines).toEqual([
        "0 4",
        "8 0",
        "76 0",
        "76",
        "0",
        "8 ",
        "0",
        "76",
        "76",
        "0 5",
        "0 type=4 flags=0 rights=2 inheriting=0",
        "8 0",
      ]);
    });

    test("a guest that opens without end is answered EMFILE, and others can go on", async () => {
      const script = Array.from({ length: 9000 }, () => "open 3 file 0 0 2");
      const lines = await runProbe(root, [...script, "close 100", "open 3 file 0 0 2"]);
      expect(lines.filter((line) => line === "33").length).toBeGreaterThan(100);
      expect(lines.at(-1)).toBe("0 100");
    });
  });

  describe("fd_readdir", () => {
    test("lists dots and entries with types, and continues at any cookie", async () => {
      mkdirSync(join(root, "dir"));
      const lines = await runProbe(root, [
        "readdir 3 4096 0",
        "readdir 3 4096 2",
        "readdir 3 4096 4",
        "readdir 3 4096 900",
        "readdir 3 40 0",
        "readdir 3 10 0",
        "readdir 1 100 0",
      ]);
      expect(lines).toEqual([
        "0 .:3:1 ..:3:2 dir:3:3 file:4:4",
        "0 dir:3:3 file:4:4",
        "0",
        "0",
        "0 .:3:1 ...",
        "0 ...",
        "76",
      ]);
    });

    test("shows what was made since, when it starts anew", async () => {
      const lines = await runProbe(root, [
        "readdir 3 4096 0",
        "mkdir 3 made",
        "unlink 3 file",
        "readdir 3 4096 2",
        "readdir 3 4096 0",
      ]);
      // Cookie 2 goes on in the listing before: what vanished is left out, what is new not in it.
      expect(lines[3]).toBe("0");
      expect(lines[4]).toBe("0 .:3:1 ..:3:2 made:3:3");
    });
  });

  describe("memory", () => {
    test("addresses outside of memory answer EFAULT in every position", async () => {
      expect(await runProbe(root, ["fault"])).toEqual(["21 21 28 21 21 21"]);
    });

    test("clocks go forward, unknown ones fail, randomness fills large buffers", async () => {
      const lines = await runProbe(root, [
        "clock 0",
        "clock 1",
        "clock 2",
        "clock 3",
        "clock 7",
        "random 200000",
        "random 0",
        "yield",
      ]);
      expect(lines).toEqual([
        "0 0 0 forward resolution",
        "0 0 0 forward resolution",
        "0 0 0 forward resolution",
        "0 0 0 forward resolution",
        "28 28 28 forward none",
        "0 filled",
        "0 filled",
        "0",
      ]);
    });

    test("proc_exit and proc_raise end the guest with their code", async () => {
      expect(await runProbe(root, ["exit 7", "yield"])).toEqual(["exit 7"]);
      expect(await runProbe(root, ["exit 0"])).toEqual(["exit 0"]);
      expect(await runProbe(root, ["raise 6"])).toEqual(["exit 134"]);
    });
  });
});
