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

async function medians(start: () => Promise<Target>): Promise<Map<number, Figure>> {
  const figures = new Map<number, Figure[]>(CLIENTS.map((clients) => [clients, []]));
  for (let run = 0; run < RUNS; run++) {
    const target = await start();
    for (const clients of CLIENTS) figures.get(clients)?.push(await measure(target, clients));
    await target.stop();
  }
  const middle = (all: readonly Figure[], field: keyof Figure): number =>
    median(all.map((figure) => figure[field]));
  return new Map(
    [...figures].map(([clients, all]) => [
      clients,
      { perSecond: middle(all, "perSecond"), p50: middle(all, "p50"), p99: middle(all, "p99") },
    ]),
  );
}

const kubun = await medians(startStore);
const etcd = await medians(async () => ({ name: "etcd", ...(await startEtcd()) }));
printTable(
  ["clients", "kubun puts/s", "etcd puts/s", "ratio", "kubun p50/p99 ms", "etcd p50/p99 ms"],
  CLIENTS.map((clients) => {
    const [ours, theirs] = [kubun.get(clients), etcd.get(clients)];
    const show = (figure?: Figure): string =>
      `${figure?.p50.toFixed(2)} / ${figure?.p99.toFixed(2)}`;
    const ratio = (ours?.perSecond ?? 0) / (theirs?.perSecond ?? 1);
    return [
      clients,
      ours?.perSecond.toFixed(0) ?? "",
      theirs?.perSecond.toFixed(0) ?? "",
      ratio.toFixed(2),
      show(ours),
      show(theirs),
    ];
  }),
);
