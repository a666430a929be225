/**
 * What a running cluster's writers notice when a second server joins: the slowest write and the
 * longest time without an acknowledgement, while a server with many objects takes another one in,
 * against the same time before.
 *
 *     bun test/bench/join-bench.ts [--objects 100000] [--writers 8]
 */
import { parseArgs } from "node:util";
import { CONFIG_MAPS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { longestSilence, startLoad } from "../cluster/cluster-load.ts";
import type { LoadReport } from "../cluster/load-process.ts";
import { joinArgs, listMembers } from "../harness/server-group.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "100000" },
    writers: { type: "string", default: "8" },
  },
});
const FILLERS = 32;
const NAMESPACE = "filled";
const SETTLE_MS = 3_000;

async function fill({ client }: SpawnedServer, objects: number): Promise<void> {
  await client.raw("/api/v1/namespaces", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ metadata: { name: NAMESPACE } }),
  });
  const maps = client.resource(CONFIG_MAPS, NAMESPACE);
  const payload = "x".repeat(1024);
  let next = 0;
  const fillOn = async (): Promise<void> => {
    while (next < objects) {
      await maps.create({ metadata: { name: `object-${next++}` }, data: { payload } });
    }
  };
  await Promise.all(Array.from({ length: FILLERS }, fillOn));
}

function row(what: string, report: LoadReport, fromMs: number, toMs: number): (string | number)[] {
  const chosen = report.latenciesMs.filter((_, index) => {
    const atMs = report.acknowledgedAtMs[index] ?? 0;
    return atMs >= fromMs && atMs <= toMs;
  });
  const within = {
    ...report,
    acknowledgedAtMs: report.acknowledgedAtMs.filter((atMs) => atMs >= fromMs && atMs <= toMs),
  };
  const perSecond = (chosen.length / ((toMs - fromMs) / 1000)).toFixed(0);
  const slowest = Math.max(...chosen);
  return [what, perSecond, percentile(chosen, 99), slowest, longestSilence(within, fromMs)];
}

await using server = await spawnServer({ args: ["--node-name", "server-1", "--peer-port", "0"] });
await fill(server, Number(values.objects));
const group = { servers: [server] };
const load = await startLoad(group, { writers: Number(values.writers), watches: 1, name: "join" });
await Bun.sleep(SETTLE_MS);
const beforeMs = Date.now();
await Bun.sleep(SETTLE_MS);
const joinMs = Date.now();
const args = ["--node-name", "server-2", "--peer-port", "0", ...(await joinArgs(server, "server"))];
await using second = await spawnServer({ args });
await eventually(async () => (await listMembers(server)).every(({ role }) => role === "voter"), {
  deadlineMs: 60_000,
  what: `${second.url} votes`,
});
const joinedMs = Date.now();
await Bun.sleep(SETTLE_MS);
const report = await load.stop();
printTable(
  ["writers", "writes/s", "p99 ms", "slowest ms", "longest silence ms"],
  [
    row("before", report, beforeMs, joinMs),
    row(`joining (${joinedMs - joinMs} ms until it votes)`, report, joinMs, joinedMs),
    row("after", report, joinedMs, joinedMs + SETTLE_MS),
  ],
);
