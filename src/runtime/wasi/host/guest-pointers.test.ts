import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../../lib/index.ts";
import { SystemHostClock } from "./host-clock.ts";
import { MAX_WRITE_BYTES } from "./stream-functions.ts";
import { emptyInput } from "./streams.ts";
import { PREVIEW1, WasiHost, type WasiHostOptions } from "./wasi-host.ts";
import { rawCallNames, runRawCalls, startProbe } from "./testing/run-probe.ts";

const FAULT = 21;
/** Where nothing is: at the end of memory, across it, and where adding the length wraps around. */
const NOWHERE = ["M", "M-1", "-1", "0xfffffff0", "0x80000000"];

/**
 * Calls that succeed, or fail for other reasons, with addresses that are good; those behind a star
 * are tried with bad ones. Descriptors: 3 listens, 4 is a directory, 5 a file, 6 a connection.
 */
const CALLS: readonly string[] = [
  "args_get *B *B+64",
  "args_sizes_get *B *B+4",
  "environ_get *B *B+64",
  "environ_sizes_get *B *B+4",
  "clock_res_get 0 *B",
  "clock_time_get 0 1 *B",
  "fd_fdstat_get 4 *B",
  "fd_filestat_get 4 *B",
  "fd_pread 5 *V 2 0 *B",
  "fd_prestat_get 4 *B",
  "fd_prestat_dir_name 4 *B 5",
  "fd_pwrite 5 *V 2 0 *B",
  "fd_read 5 *V 2 *B",
  "fd_readdir 4 *B 100 0 *B+200",
  "fd_seek 5 0 0 *B",
  "fd_tell 5 *B",
  "fd_write 5 *V 2 *B",
  "path_create_directory 4 *N 3",
  "path_filestat_get 4 0 *P 4 *B",
  "path_filestat_set_times 4 0 *P 4 0 0 10",
  "path_link 4 0 *P 4 4 *N 3",
  "path_open 4 0 *P 4 0 2 0 0 *B",
  "path_readlink 4 *N 3 *B 10 *B+16",
  "path_remove_directory 4 *P 4",
  "path_rename 4 *P 4 4 *N 3",
  "path_symlink *P 4 4 *N 3",
  "path_unlink_file 4 *N 3",
  "poll_oneoff *S *B 1 *B+64",
  "random_get *B 16",
  "sock_accept 3 0 *B",
  "sock_recv 6 *V 2 0 *B *B+4",
  "sock_send 6 *V 2 0 *B",
];
/** What takes no address: the other functions of preview 1. */
const WITHOUT_ADDRESS = [
  ["fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_set_flags"],
  ["fd_fdstat_set_rights", "fd_filestat_set_size", "fd_filestat_set_times", "fd_renumber"],
  ["fd_sync", "proc_exit", "proc_raise", "sched_yield", "sock_shutdown"],
].flat();

/** Positions of 64-bit arguments. */
const WIDE: Readonly<Record<string, readonly number[]>> = {
  clock_time_get: [1],
  fd_advise: [1, 2],
  fd_allocate: [1, 2],
  fd_fdstat_set_rights: [1, 2],
  fd_filestat_set_size: [1],
  fd_filestat_set_times: [1, 2],
  fd_pread: [3],
  fd_pwrite: [3],
  fd_readdir: [3],
  fd_seek: [1],
  path_filestat_set_times: [4, 5],
  path_open: [5, 6],
};

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const SMALLEST_COMMAND = Buffer.from(
  "0061736d01000000010401600000030201000503010001" +
    "071302066d656d6f72790200065f737461727400000a040102000b",
  "hex",
);

type Surroundings = Pick<WasiHostOptions, "ports" | "preopens" | "env">;

/** A host after its guest ended: functions that never wait can be called, on 64 KiB of memory. */
async function quietHost(options: Surroundings) {
  const quiet = { kind: "output", lineBuffered: false, write: () => undefined } as const;
  const streams = { stdin: emptyInput, stdout: quiet, stderr: quiet };
  const host = new WasiHost({ ...options, ...streams, args: [], clock: new SystemHostClock() });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(SMALLEST_COMMAND));
  await host.run(instance);
  const memory = instance.exports["memory"] as WebAssembly.Memory;
  return {
    imports: () => host.imports(),
    close: () => host.close(),
    text: new Uint8Array(memory.buffer, 0, 16),
  };
}

describe("addresses a guest gives", () => {
  let base: string;
  let options: Surroundings;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "wasi-pointers-"));
    mkdirSync(join(base, "volume"));
    writeFileSync(join(base, "volume", "file"), "0123456789".repeat(100));
    symlinkSync("file", join(base, "volume", "new"));
    writeFileSync(join(base, "outside"), "outside");
    options = {
      ports: [80],
      preopens: [{ guestPath: "/data", hostPath: join(base, "volume"), readOnly: false }],
      env: [["NAME", "value"]],
    };
  });

  afterEach(() => rmSync(base, { recursive: true }));

  test("these tests know all 46 functions of preview 1, and the host has no other", async () => {
    const provided = Object.keys((await quietHost(options)).imports()[PREVIEW1] ?? {}).sort();
    const names = [...CALLS.map((call) => call.split(" ")[0] ?? ""), ...WITHOUT_ADDRESS];
    expect(provided).toHaveLength(46);
    expect(names.sort()).toEqual(provided);
    expect([...new Set(rawCallNames())].sort()).toEqual(provided);
    const design = readFileSync(join(import.meta.dir, "DESIGN.md"), "utf8");
    const rows = design.split("\n").filter((line) => line.startsWith("| `"));
    const listed = rows.flatMap((row) => row.split(" | ")[0]?.match(/[a-z]+_\w+/g) ?? []);
    expect(listed.sort()).toEqual(provided);
  });

  test("each of them answers EFAULT in every position when it leads out of memory", async () => {
    const attempts = CALLS.flatMap((call) => withBadAddresses(call));
    const answers = await withConnection(["path_open 4 0 P 4 0 0x66 0 0 B", ...attempts]);
    const wrong = attempts.filter((_, index) => answers[index + 1] !== FAULT);
    expect(wrong).toEqual([]);
    expect(attempts.length).toBeGreaterThan(250);
    expect(readdirSync(join(base, "volume"))).toEqual(["file", "new"]);
  });

  test("buffers of an iovec answer EFAULT too, the second as well as the first", async () => {
    const uses = ["fd_read 5", "fd_write 5", "fd_pread 5", "fd_pwrite 5", "sock_recv 6"].map(
      (use) =>
        `${use} V 2 ${use.startsWith("fd_p") ? "0 B" : use.startsWith("sock") ? "0 B B" : "B"}`,
    );
    const script = [0, 1].flatMap((which) =>
      ["M 1", "M-1 2", "-1 1", "B 0xffffffff", "0xfffffff0 0x20"].flatMap((buffer) => [
        `iovec ${which} ${buffer}`,
        ...uses,
        `iovec ${which} B 16`,
      ]),
    );
    const answers = await withConnection(["path_open 4 0 P 4 0 0x66 0 0 B", ...script]);
    const faults = script.filter((call, index) => {
      return !call.startsWith("iovec") && answers[index + 1] === FAULT;
    });
    expect(faults).toHaveLength(2 * 5 * uses.length);
  });

  test("nothing at the very end of memory is fine, and so is everything up to it", async () => {
    const script = ["random_get M 0", "random_get M-16 16", "random_get M-16 17", "random_get 0 M"];
    const vectors = ["fd_write 1 M 0 B", "iovec 0 M 0", "iovec 1 M 0", "fd_write 1 V 2 B"];
    const answers = await runRawCalls([...vectors, ...script.slice(0, 3)], options);
    expect(answers).toEqual([0, 0, 0, 0, 0, 0, FAULT]);
    expect(await runRawCalls(["fd_write 1 V 1025 B", "fd_write 1 V -1 B"], options)).toEqual([
      28, 28,
    ]);
  });

  test("a thousand buffers that are one and the same stay one on the host", async () => {
    let largest = 0;
    const stdout = {
      kind: "output",
      lineBuffered: true,
      write: (bytes: Uint8Array) => {
        largest = Math.max(largest, bytes.length);
      },
    } as const;
    await startProbe(["gather 1 1024 1000000", "gather 1 1 1048576"], { stdout }).lines;
    expect(largest).toBe(MAX_WRITE_BYTES);
    const script = ["open 4 file", "gather 5 3 1000000", "fdfilestat 5"];
    const [, written = "", stat] = await startProbe(script, options).lines;
    expect([written, stat]).toEqual(["0 3000000", expect.stringContaining("size=3000000")]);
  });

  test("no numbers whatever make the host throw, or touch what is outside", async () => {
    const random = new SeededRandom(20261123);
    const pick = <Item>(from: readonly [Item, ...Item[]]): Item =>
      from[Math.floor(random.float() * from.length)] ?? from[0];
    const paths = ["file", "new", "../outside", "/etc", "new/..", "..", "a", "file/", "%", "\0"];
    const host = await quietHost(options);
    const functions = Object.entries(host.imports()[PREVIEW1] ?? {}).filter(
      ([name]) => !/^(proc_|sock_|sched_|poll_|fd_read$|fd_write$)/.test(name),
    );
    const edges = [-1, 0x7fff_ffff, -0x8000_0000, 65_535, 65_536] as const;
    const answers = new Set<unknown>();
    for (let round = 0; round < 20_000; round++) {
      const [name, fn] = functions[Math.floor(random.float() * functions.length)] ?? [];
      if (name === undefined) break;
      host.text.set(Buffer.from(pick(paths as [string, ...string[]]).padEnd(16, "\0")));
      const numbers = Array.from({ length: 9 }, () =>
        pick([0, 0, 1, 2, 3, 4, 4, 5, 6, 8, 10, 16, pick(edges), 0x100 + round]),
      );
      // Else the directory would soon be gone, and every answer EBADF.
      if (/^fd_(close|renumber)$/.test(name) && numbers[0] !== 6) continue;
      const wide = WIDE[name] ?? [];
      const args = numbers.map((value, index) => (wide.includes(index) ? BigInt(value) : value));
      answers.add((fn as unknown as (...args: unknown[]) => unknown)(...args));
    }
    host.close();
    expect([...answers].every((answer) => typeof answer === "number")).toBe(true);
    expect(answers.size).toBeGreaterThan(8);
    expect(readdirSync(base).sort()).toEqual(["outside", "volume"]);
    expect(readFileSync(join(base, "outside"), "utf8")).toBe("outside");
  });

  function withBadAddresses(call: string): string[] {
    const words = call.split(" ");
    const plain = words.map((word) => word.replace("*", ""));
    return words.flatMap((word, index) =>
      word.startsWith("*") ? NOWHERE.map((bad) => plain.with(index, bad).join(" ")) : [],
    );
  }

  /** Runs a script after descriptor 6 became a connection with bytes that wait. */
  async function withConnection(script: readonly string[]): Promise<number[]> {
    const [first = "", ...rest] = script;
    return runConnected([first, "sock_accept 3 0 B", ...rest]).then((answers) => [
      answers[0] ?? -1,
      ...answers.slice(2),
    ]);
  }

  async function runConnected(script: readonly string[]): Promise<number[]> {
    const path = join(base, "port.sock");
    const peer = connectSoon(path);
    const answers = await runRawCalls(script, options, (host) => {
      host.listeners[0]?.listenUnix(path);
      peer.start();
    });
    peer.end();
    rmSync(path, { force: true });
    return answers;
  }

  function connectSoon(path: string) {
    let end = () => {};
    return {
      start() {
        const socket = connect(path);
        socket.on("error", () => undefined);
        socket.write("x".repeat(10_000));
        end = () => socket.destroy();
      },
      end: () => end(),
    };
  }
});
