/**
 * A WASM pod's way from its binding to Running, as a separate process sees it on a watch, one pod at
 * a time.
 *
 *     bun test/bench/pod-start-bench.ts [--pods 100]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { PODS } from "../../src/client/index.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({ options: { pods: { type: "string", default: "100" } } });
const workloads = join(import.meta.dir, "..", "..", "workloads");
const module = new Uint8Array(readFileSync(join(workloads, "hello-http", "hello-http.wasm")));

function pod(name: string): Pod {
  return {
    metadata: { name },
    spec: {
      containers: [{ name: "web", image: "bench:v1", ports: [{ containerPort: 8080 }] }],
      terminationGracePeriodSeconds: 0,
    },
  };
}

await using server = await spawnServer();
const connection = { ...server, version: "", startedAt: "", server: server.url };
await pushImage(connection, { reference: "bench:v1", module });
const pods = server.client.resource(PODS, "default");
const watching = new AbortController();
const boundAtMs = new Map<string, number>();
const waiting = new Map<string, (elapsedMs: number) => void>();

async function follow(): Promise<void> {
  for await (const event of pods.watch({ signal: watching.signal })) {
    if (event.type !== "ADDED" && event.type !== "MODIFIED") continue;
    const name = event.object.metadata.name ?? "";
    const nowMs = performance.now();
    if (event.object.spec?.nodeName && !boundAtMs.has(name)) boundAtMs.set(name, nowMs);
    if (event.object.status?.phase !== "Running") continue;
    waiting.get(name)?.(nowMs - (boundAtMs.get(name) ?? nowMs));
    waiting.delete(name);
  }
}

void follow().catch((error: unknown) => {
  if (!watching.signal.aborted) throw error;
});
const elapsed: number[] = [];
for (let index = 0; index < Number(values.pods); index++) {
  const name = `bench-${index}`;
  const running = new Promise<number>((resolve) => waiting.set(name, resolve));
  await pods.create(pod(name));
  elapsed.push(await running);
  await pods.delete(name, { gracePeriodSeconds: 0 });
}
watching.abort();
printTable(
  ["WASM pod, bind to Running", "p50 ms", "p90 ms", "p99 ms"],
  [[`${elapsed.length} pods`, ...[50, 90, 99].map((rank) => percentile(elapsed, rank).toFixed(1))]],
);
