/**
 * Durable puts of 1 KiB a second, the store against etcd: both on this machine and disk, over TLS,
 * fsync on, load from client processes.
 *
 *     bun test/bench/store-bench.ts [--seconds 4]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryDirectory } from "../harness/spawned-server.ts";
import { median, percentile, printTable } from "./measure-process.ts";
import { startEtcd } from "./start-etcd.ts";

const RUNS = 3;
const CLIENTS = [1, 32, 256];
/** Load processes: two, as there are cores, unless one client is all there is. */
const MAX_PROCESSES = 2;

const { values } = parseArgs({ options: { seconds: { type: "string", default: "4" } } });
const seconds = Number(values.seconds);

interface Target {
  readonly name: "kubun" | "etcd";
  readonly url: string;
  stop(): Promise<void>;
}

interface Figure {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

async function startStore(): Promise<Target> {
  const directory = temporaryDirectory();
  const script = join(import.meta.dir, "store-server.ts");
  const child = Bun.spawn([process.execPath, script, directory], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  return {
    name: "kubun",
    url: new TextDecoder().decode(value).trim(),
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function measure(target: Target, clients: number): Promise<Figure> {
  const script = join(import.meta.dir, "store-load.ts");
  const processes = Math.min(MAX_PROCESSES, clients);
  const load = Array.from({ length: processes }, async (_, number) => {
    const args = [target.name, target.url, clients / processes, seconds, number].map(String);
    const child = Bun.spawn([process.execPath, script, ...args], { stdout: "pipe" });
    return JSON.parse(await new Response(child.stdout).text()) as number[];
  });
  const latencies = (await Promise.all(load)).flat();
  return {
    perSecond: latencies.length / seconds,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
  };
}

type Figures = Map<number, Figure[]>;

/** One run of a target: a fresh process and directory, all numbers of clients one by one. */
async function run(start: () => Promise<Target>, figures: Figures): Promise<void> {
  const target = await start();
  for (const clients of CLIENTS) {
    const figure = await measure(target, clients);
    figures.set(clients, [...(figures.get(clients) ?? []), figure]);
  }
  await target.stop();
}

function middle(figures: Figures, clients: number): Figure {
  const of = (field: keyof Figure): number =>
    median((figures.get(clients) ?? []).map((figure) => figure[field]));
  return { perSecond: of("perSecond"), p50: of("p50"), p99: of("p99") };
}

const kubun: Figures = new Map();
const etcd: Figures = new Map();
// In turns, so that whatever else the machine does meets both.
for (let round = 0; round < RUNS; round++) {
  await run(startStore, kubun);
  await run(async () => ({ name: "etcd", ...(await startEtcd()) }), etcd);
}
const latency = (figure: Figure): string => `${figure.p50.toFixed(2)} / ${figure.p99.toFixed(2)}`;
printTable(
  ["clients", "kubun puts/s", "etcd puts/s", "ratio", "kubun p50/p99 ms", "etcd p50/p99 ms"],
  CLIENTS.map((clients) => {
    const [ours, theirs] = [middle(kubun, clients), middle(etcd, clients)];
    return [
      clients,
      ours.perSecond.toFixed(0),
      theirs.perSecond.toFixed(0),
      (ours.perSecond / theirs.perSecond).toFixed(2),
      latency(ours),
      latency(theirs),
    ];
  }),
);
