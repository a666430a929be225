/**
 * What hostile guests cost their neighbours: a steady load on a good service through the Ingress,
 * alone and beside guests that compute, allocate, print and open files without end.
 *
 *     bun test/bench/hostile-bench.ts [--rate 200] [--seconds 10]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pushImage } from "../../src/cli/index.ts";
import { PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
  },
});
const intervalMs = 1_000 / Number(values.rate);
const requests = Number(values.rate) * Number(values.seconds);
const root = join(import.meta.dir, "../..");
const IMAGES = {
  "good:v1": "workloads/hello-http/hello-http.wasm",
  "hostile:v1": "src/runtime/wasi/host/testdata/hostile.wasm",
};
/** Each begins anew when it is ended. */
const HOSTILE: Readonly<Record<string, readonly string[]>> = {
  loop: ["loop"],
  grow: ["grow"],
  print: ["flood"],
  descriptors: ["descriptors", "/"],
};
const HOST = "good.example";

await using server = await spawnServer();
const kubectl = kubectlWith(server.kubeconfig);
const connection = { ...server, version: "", startedAt: "", server: server.url };
for (const [reference, path] of Object.entries(IMAGES)) {
  await pushImage(connection, {
    reference,
    module: new Uint8Array(readFileSync(join(root, path))),
  });
}
await kubectl.ok("create", "deployment", "good", "--image=good:v1", "--replicas=2");
await kubectl.ok("expose", "deployment", "good", "--port=8080");
await kubectl.ok("create", "ingress", "good", `--rule=${HOST}/*=good:8080`);

async function ask(): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(server.ingress, { headers: { host: HOST } });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return performance.now() - startedMs;
}

/** Requests at a steady rate, whether or not earlier ones were answered. */
async function load(): Promise<number[]> {
  const asked: Promise<number>[] = [];
  const startedMs = performance.now();
  for (let number = 0; number < requests; number++) {
    const waitMs = startedMs + number * intervalMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    asked.push(ask());
  }
  return Promise.all(asked);
}

const row = (name: string, latencies: number[]): string[] => [
  name,
  ...[50, 90, 99].map((rank) => percentile(latencies, rank).toFixed(1)),
];

await eventually(async () => (await fetch(server.ingress, { headers: { host: HOST } })).ok);
await load();
const rows = [row("alone", await load())];
const pods = server.client.resource(PODS, "default");
for (const [name, args] of Object.entries(HOSTILE)) {
  const resources = { limits: { memory: "32Mi" } };
  await pods.create({
    metadata: { name },
    spec: { containers: [{ name: "main", image: "hostile:v1", args: [...args], resources }] },
  });
}
rows.push(row("hostile guests start", await load()));
rows.push(row("beside hostile guests", await load()));
printTable(["a good service", "p50 ms", "p90 ms", "p99 ms"], rows);
