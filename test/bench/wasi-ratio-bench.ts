/**
 * Programs for WASI preview 1 by Kubun's worker, wazero and wasmedge (Debian's, unpacked into a
 * temporary directory when they are not there yet) and Node's own WASI, in turns: the start of a
 * program that does nothing, one that computes, one that reads and writes a file, one that serves.
 *
 *     bun test/bench/wasi-ratio-bench.ts [--starts 20] [--runs 5] [--seconds 3]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryDirectory } from "../harness/spawned-server.ts";
import { KubunRunner } from "./kubun-runner.ts";
import { median, percentile, printTable } from "./measure-process.ts";
import { wasiPeers, type WasiRunner } from "./wasi-peers.ts";
import { wrkLoad } from "./wrk-load.ts";

const { values } = parseArgs({
  options: {
    starts: { type: "string", default: "20" },
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
  },
});
const programs = join(import.meta.dir, "testdata");
const HASHED_MIB = 128;
/** An interpreter gets that much less to compute, and its time is told for the whole. */
const INTERPRETED_SHARE = 32;
const FILE_MIB = 64;

interface Task {
  readonly title: string;
  readonly program: string;
  readonly args: (share: number) => readonly string[];
  readonly runs: number;
  /** What it does can be a part of it, `1 / share`. */
  readonly divisible?: boolean;
}

const TASKS: readonly Task[] = [
  {
    title: "from the start of a process that does nothing to its end",
    program: "trivial.wasm",
    args: () => [],
    runs: Number(values.starts),
  },
  {
    title: `SHA-256 of ${HASHED_MIB} MiB`,
    program: "sha256.wasm",
    args: (share) => [`${HASHED_MIB / share}`],
    runs: Number(values.runs),
    divisible: true,
  },
  {
    title: `${FILE_MIB} MiB written and read in pieces of 4 KiB`,
    program: "files.wasm",
    args: () => ["/data/file", `${FILE_MIB}`],
    runs: Number(values.runs),
  },
];

async function compare(task: Task, runners: readonly WasiRunner[]): Promise<void> {
  const directory = temporaryDirectory();
  const module = join(programs, task.program);
  const all = runners.map((runner) => ({ runner, tookMs: [] as number[] }));
  try {
    for (let run = 0; run < task.runs; run++) {
      for (const { runner, tookMs } of all) {
        const share = task.divisible && runner.interprets ? INTERPRETED_SHARE : 1;
        tookMs.push(share * (await runner.run({ module, args: task.args(share), directory })));
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const ours = median(all[0]?.tookMs ?? []);
  printTable(
    [task.title, "median ms", "p90 ms", "against kubun's warm worker"],
    all.map(({ runner, tookMs }) => [
      runner.name,
      median(tookMs).toFixed(1),
      percentile(tookMs, 90).toFixed(1),
      `${(median(tookMs) / ours).toFixed(2)}×`,
    ]),
  );
}

/** One connection, because without poll a program serves one after the other. */
async function compareServers(runners: readonly WasiRunner[]): Promise<void> {
  const rows = [];
  for (const runner of runners) {
    const served = await runner.serve?.(join(programs, "serve.wasm"));
    if (served === undefined) continue;
    try {
      const load = { connections: 1, seconds: Number(values.seconds) };
      await wrkLoad(served.url, { ...load, seconds: 1 });
      rows.push({ name: runner.name, ...(await wrkLoad(served.url, load)) });
    } finally {
      await served.end();
    }
  }
  const ours = rows[0]?.rate ?? Number.NaN;
  printTable(
    ["HTTP by accept(), one connection", "a second", "of kubun", "p99 ms"],
    rows.map(({ name, rate, p99Ms }) => [
      name,
      rate.toFixed(0),
      `${(rate / ours).toFixed(2)}×`,
      p99Ms.toFixed(2),
    ]),
  );
}

const warm = new KubunRunner("warm");
const peers = await wasiPeers((missing) => process.stderr.write(`${missing}\n`));
for (const task of TASKS) await compare(task, [warm, new KubunRunner("new"), ...peers]);
await compareServers([warm, ...peers.filter(({ name }) => !name.includes("compiled before"))]);
