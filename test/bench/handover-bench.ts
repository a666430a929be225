/**
 * Requests through Ingress while a Deployment of four rolls over and the server is replaced by a
 * new process: how many fail, and how long they take. Half of them come over new connections.
 *
 *     bun test/bench/handover-bench.ts [--rate 500] [--rollouts 10] [--replacements 1]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { replaceServer, rollOver, servedDeployment } from "../harness/handover.ts";
import { startLoad } from "../harness/http-load.ts";
import { spawnServer } from "../harness/spawned-server.ts";

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "500" },
    rollouts: { type: "string", default: "10" },
    replacements: { type: "string", default: "1" },
  },
});
const module = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");

await using server = await spawnServer({ args: ["--dns-port", "0"] });
await servedDeployment(server, new Uint8Array(readFileSync(module)));
const port = Number(new URL(server.ingress).port);
const load = startLoad({ port, ratePerSecond: Number(values.rate) });
const rollouts = Number(values.rollouts);
const replaceAt = Math.floor(rollouts / 2);
const successors: Awaited<ReturnType<typeof replaceServer>>[] = [];
for (let round = 0; round < rollouts; round++) {
  const rolling = rollOver(server.client, round);
  if (round === replaceAt) {
    for (let count = 0; count < Number(values.replacements); count++) {
      const successor = await replaceServer(server.dataDir);
      successors.push(successor);
      console.log(`replaced in ${successor.tookMs.toFixed(0)} ms`);
    }
  }
  await rolling;
}
const { sent, answered, failures, latencies } = await load.stop();
const percentile = (share: number): string =>
  (latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(1);
console.log(`${rollouts} rollouts of 4 pods, ${values.replacements} replacement(s) of the server`);
console.log(
  `${sent} requests at ${values.rate}/s, ${answered} answered, ${failures.length} failed`,
);
console.log(
  `p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms, most ${percentile(0.99999)} ms`,
);
for (const failure of failures.slice(0, 10)) console.log(`  ${failure}`);
for (const successor of successors) await successor.end();
process.exit(failures.length === 0 ? 0 : 1);
