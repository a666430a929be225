/**
 * ConfigMap creates a second through the API: wrk as a separate process, TLS, 32 connections, every
 * create durable before its answer.
 *
 *     bun test/bench/api-bench.ts [--seconds 10]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand, spawnServer } from "../harness/spawned-server.ts";
import { median, printTable, sampleProcess } from "./measure-process.ts";

const RUNS = 3;
const CONNECTIONS = 32;

const { values } = parseArgs({ options: { seconds: { type: "string", default: "10" } } });
await using server = await spawnServer();
const script = join(import.meta.dir, "create-configmap.lua");
const rates: number[] = [];
const latencies: string[] = [];
for (let run = 0; run < RUNS; run++) {
  const command = ["wrk", "-t1", `-c${CONNECTIONS}`, `-d${values.seconds}s`, "--latency"];
  const { stdout } = await runCommand([...command, "-s", script, server.url], {
    env: { TOKEN: server.token, RUN: `${run}` },
  });
  if (/Non-2xx/.test(stdout)) throw new Error(stdout);
  rates.push(Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]));
  latencies.push(/99%\s+(\S+)/.exec(stdout)?.[1] ?? "?");
}
const list = await server.request("/api/v1/namespaces/default/configmaps?limit=1");
const { metadata } = (await list.json()) as { metadata: { remainingItemCount?: number } };
printTable(
  ["ConfigMap creates, 32 clients", "per second", "p99", "stored", "PSS MiB after"],
  [
    [
      "kubun",
      median(rates).toFixed(0),
      latencies.join(", "),
      (metadata.remainingItemCount ?? 0) + 1,
      (sampleProcess(server.pid).pssBytes / 1024 / 1024).toFixed(0),
    ],
  ],
);
