/**
 * Durable puts, and linearizable reads, of 1 KiB a second, the store against etcd: both on this
 * machine and disk, over TLS, fsync on, load from client processes. Puts go to the leader, reads to
 * every member.
 *
 *     bun test/bench/store-bench.ts [--members 3] [--seconds 8] [--clients 1,32,256]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, percentile, printTable } from "./measure-process.ts";
import { startEtcd } from "./start-etcd.ts";
import { startStores } from "./start-stores.ts";

const RUNS = 3;
/**
 * For each kind of load that is measured, on both sides: one client takes other ways through the
 * code than many, and servers run for months, so what compiling costs at first is not their tail.
 */
const WARM_UP_SECONDS = 10;
/** Load processes: two, as there are cores, unless one client is all there is. */
const MAX_PROCESSES = 2;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "8" },
    members: { type: "string", default: "1" },
    clients: { type: "string", default: "1,32,256" },
  },
});
const seconds = Number(values.seconds);
const members = Number(values.members);
const clientCounts = values.clients.split(",").map(Number);

const OPERATIONS = ["put", "get"] as const;
type Operation = (typeof OPERATIONS)[number];

interface Target {
  readonly name: "kubun" | "etcd";
  /** The leader's first. */
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

interface Figure {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(
  target: Target,
  operation: Operation,
  clients: number,
  durationSeconds = seconds,
): Promise<Figure> {
  const script = join(import.meta.dir, "store-load.ts");
  const processes = Math.min(MAX_PROCESSES, clients);
  // A follower's store hands writes to nobody: the API in front of it does.
  const urls = (operation === "put" ? target.urls.slice(0, 1) : target.urls).join(",");
  const load = Array.from({ length: processes }, async (_, number) => {
    const args = [target.name, operation, urls, clients / processes, durationSeconds, number].map(
      String,
    );
    const child = Bun.spawn([process.execPath, script, ...args], { stdout: "pipe" });
    return JSON.parse(await new Response(child.stdout).text()) as number[];
  });
  const latencies = (await Promise.all(load)).flat();
  return {
    perSecond: latencies.length / durationSeconds,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
  };
}

type Figures = Map<string, Figure[]>;

/** One run of a target: fresh processes and directories, all numbers of clients one by one. */
async function run(start: () => Promise<Target>, figures: Figures): Promise<void> {
  const target = await start();
  // Servers run for months: neither side is measured while it compiles or fills its first files.
  for (const operation of OPERATIONS)
    for (const clients of clientCounts) await measure(target, operation, clients, WARM_UP_SECONDS);
  for (const operation of OPERATIONS) {
    for (const clients of clientCounts) {
      const figure = await measure(target, operation, clients);
      const row = `${operation} ${clients}`;
      figures.set(row, [...(figures.get(row) ?? []), figure]);
    }
  }
  await target.stop();
}

function middle(figures: Figures, row: string): Figure {
  const of = (field: keyof Figure): number =>
    median((figures.get(row) ?? []).map((figure) => figure[field]));
  return { perSecond: of("perSecond"), p50: of("p50"), p99: of("p99") };
}

const kubun: Figures = new Map();
const etcd: Figures = new Map();
// In turns, so that whatever else the machine does meets both.
for (let round = 0; round < RUNS; round++) {
  await run(async () => ({ name: "kubun", ...(await startStores(members)) }), kubun);
  await run(async () => ({ name: "etcd", ...(await startEtcd({ members })) }), etcd);
}
const latency = (figure: Figure): string => `${figure.p50.toFixed(2)} / ${figure.p99.toFixed(2)}`;
for (const operation of OPERATIONS) {
  printTable(
    [
      `${operation}s, clients`,
      "kubun /s",
      "etcd /s",
      "ratio",
      "kubun p50/p99 ms",
      "etcd p50/p99 ms",
    ],
    clientCounts.map((clients) => {
      const row = `${operation} ${clients}`;
      const [ours, theirs] = [middle(kubun, row), middle(etcd, row)];
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
}
