/**
 * What hostile guests cost their neighbours: a steady load on a good service through the Ingress,
 * in turns alone and beside guests that compute, allocate, print and open files without end.
 *
 *     bun test/bench/hostile-bench.ts [--rate 200] [--seconds 6] [--turns 5] [--cpu 100m]
 *
 * `--cpu` is what the good service asks for; without it nothing tells it from the hostile guests.
 * `--guests loop,print` are the hostile ones. `--waits` also tells how long each process, ready to
 * run, waited for a processor.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { workerPid } from "../harness/pod-traces.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import { median, percentile, printTable } from "./measure-process.ts";

/** Each begins anew when it is ended. */
const HOSTILE: Readonly<Record<string, readonly string[]>> = {
  loop: ["loop"],
  grow: ["grow"],
  print: ["flood"],
  descriptors: ["descriptors", "/"],
};
const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "6" },
    turns: { type: "string", default: "5" },
    cpu: { type: "string" },
    guests: { type: "string", default: Object.keys(HOSTILE).join(",") },
    waits: { type: "boolean", default: false },
  },
});
const intervalMs = 1_000 / Number(values.rate);
const requests = Number(values.rate) * Number(values.seconds);
const root = join(import.meta.dir, "../..");
const IMAGES = {
  "good:v1": "workloads/hello-http/hello-http.wasm",
  "hostile:v1": "src/runtime/wasi/host/testdata/hostile.wasm",
};
const HOST = "good.example";
const GONE_DEADLINE_MS = 30_000;
const NANOSECONDS = 1e6;

await using server = await spawnServer();
const kubectl = kubectlWith(server.kubeconfig);
const pods = server.client.resource(PODS, "default");
const connection = { ...server, version: "", startedAt: "", server: server.url };
for (const [reference, path] of Object.entries(IMAGES)) {
  const module = new Uint8Array(readFileSync(join(root, path)));
  await pushImage(connection, { reference, module });
}
await server.client.resource(DEPLOYMENTS, "default").create({
  metadata: { name: "good" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "good" } },
    template: {
      metadata: { labels: { app: "good" } },
      spec: {
        containers: [
          {
            name: "good",
            image: "good:v1",
            resources: values.cpu === undefined ? {} : { requests: { cpu: values.cpu } },
          },
        ],
      },
    },
  },
});
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

async function startHostile(): Promise<void> {
  for (const name of (values.guests ?? "").split(",")) {
    const resources = { limits: { memory: "32Mi" } };
    const container = { name: "main", image: "hostile:v1", args: [...(HOSTILE[name] ?? [])] };
    await pods.create({
      metadata: { name, labels: { app: "hostile" } },
      spec: { containers: [{ ...container, resources }] },
    });
  }
}

async function endHostile(): Promise<void> {
  await kubectl.ok("delete", "pods", "-l", "app=hostile", "--grace-period=0", "--force");
  await eventually(
    async () => (await pods.list({ labelSelector: "app=hostile" })).items.length === 0,
    {
      deadlineMs: GONE_DEADLINE_MS,
      what: "the hostile guests are gone",
    },
  );
}

/** Threads of a process: how long they ran and, ready to run, waited, in ms. */
function waited(pid: number): { ranMs: number; waitedMs: number } {
  let [ranMs, waitedMs] = [0, 0];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [ran, wait] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    ranMs += Number(ran) / NANOSECONDS;
    waitedMs += Number(wait) / NANOSECONDS;
  }
  return { ranMs, waitedMs };
}

async function goodPids(): Promise<number[]> {
  const { items } = await pods.list({ labelSelector: "app=good" });
  return items.map(({ status }) => {
    const id = status?.containerStatuses?.[0]?.containerID ?? "";
    return workerPid(server.dataDir, id.replace(/^.*:\/\//, ""));
  });
}

type Phase = "alone" | "hostile guests start" | "beside hostile guests";
const windows: Record<Phase, number[][]> = {
  alone: [],
  "hostile guests start": [],
  "beside hostile guests": [],
};

async function window(phase: Phase): Promise<void> {
  const watched = { generator: [process.pid], server: [server.pid], "good pods": await goodPids() };
  const look = (pids: readonly number[]): number[] => {
    const all = pids.map(waited);
    return [
      all.reduce((sum, one) => sum + one.ranMs, 0),
      all.reduce((sum, one) => sum + one.waitedMs, 0),
    ];
  };
  const before = Object.values(watched).map(look);
  const latencies = await load();
  windows[phase].push(latencies);
  if (!values.waits) return;
  const told = Object.entries(watched).map(([name, pids], index) => {
    const [ran = 0, wait = 0] = look(pids);
    const [ranBefore = 0, waitBefore = 0] = before[index] ?? [];
    return `${name} ran ${(ran - ranBefore).toFixed(0)} waited ${(wait - waitBefore).toFixed(0)}`;
  });
  const p99 = percentile(latencies, 99).toFixed(1);
  process.stderr.write(`${phase}: p99 ${p99} ms; ms: ${told.join("; ")}\n`);
}

await eventually(async () => (await fetch(server.ingress, { headers: { host: HOST } })).ok);
await load();
for (let turn = 0; turn < Number(values.turns); turn++) {
  await window("alone");
  await startHostile();
  await window("hostile guests start");
  await window("beside hostile guests");
  await endHostile();
}

const figures = (phase: Phase, rank: number): number =>
  median(windows[phase].map((latencies) => percentile(latencies, rank)));
const rows = (Object.keys(windows) as Phase[]).map((phase) => {
  const p99s = windows[phase].map((latencies) => percentile(latencies, 99));
  return [
    phase,
    figures(phase, 50).toFixed(1),
    figures(phase, 90).toFixed(1),
    figures(phase, 99).toFixed(1),
    `${Math.min(...p99s).toFixed(1)}–${Math.max(...p99s).toFixed(1)}`,
    `${(figures(phase, 99) / figures("alone", 99)).toFixed(2)}×`,
  ];
});
const asks = values.cpu === undefined ? "asks for nothing" : `asks for ${values.cpu}`;
printTable(
  [`a good service that ${asks}`, "p50 ms", "p90 ms", "p99 ms", "p99 of the turns", "of alone"],
  rows,
);
