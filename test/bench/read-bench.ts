/**
 * Reading a full cluster: lists of 10,000 pods, 1,000 watchers of the same objects, `kubectl get
 * pods` from start to end, and the memory of the server that holds it all.
 *
 *     bun test/bench/read-bench.ts [--pods 10000] [--config-maps 10000] [--watchers 1000] \
 *         [--profile DIRECTORY]
 *
 * `--profile` has Bun write CPU profiles (.cpuprofile and .md) of the server to the directory.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ConfigMap, Pod } from "../../src/api/index.ts";
import { CONFIG_MAPS, NAMESPACES, PODS } from "../../src/client/index.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import { percentile, printTable, sampleProcess } from "./measure-process.ts";

const LISTS = 20;
const KUBECTLS = 10;
const SHOWN_PODS = 20;
const WATCHED_EVENTS = 200;
const WRITERS = 64;
const MEGABYTE = 1024 * 1024;

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "10000" },
    "config-maps": { type: "string", default: "10000" },
    watchers: { type: "string", default: "1000" },
    profile: { type: "string" },
  },
});
const pods = Number(values.pods);
const configMaps = Number(values["config-maps"]);
const watchers = Number(values.watchers);

const { profile } = values;
const bun = ["--cpu-prof", "--cpu-prof-md", "--cpu-prof-dir", profile ?? ""];
const command = (cmd: readonly string[]): string[] =>
  profile === undefined ? [...cmd] : [process.execPath, ...bun, `${KUBUN}.ts`, ...cmd.slice(1)];
await using server = await spawnServer({ command });
const rows: string[][] = [];
for (const name of ["full", "few", "watched"]) {
  await server.client
    .resource(NAMESPACES)
    .create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

/** Runs so many, a few at a time. */
async function times(count: number, work: (number: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: WRITERS }, worker));
}

async function measured(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const durations: number[] = [];
  for (let run = 0; run < count; run++) {
    const startedMs = performance.now();
    await work();
    durations.push(performance.now() - startedMs);
  }
  return durations;
}

/** Held back from the scheduler, so that only what is stored is measured. */
function podOf(namespace: string, number: number): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod-${number}`, namespace, labels: { app: `app-${number % 100}` } },
    spec: {
      schedulingGates: [{ name: "bench.example/hold" }],
      containers: [{ name: "web", image: "web:v1", ports: [{ containerPort: 8080 }] }],
    },
  };
}

function configMapOf(namespace: string, number: number): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `map-${number}`, namespace },
    data: { value: "x".repeat(512) },
  };
}

function pssMegabytes(): string {
  return (sampleProcess(server.pid).pssBytes / MEGABYTE).toFixed(0);
}

async function lists(): Promise<void> {
  const list = async (): Promise<void> => {
    const response = await server.request("/api/v1/namespaces/full/pods");
    await response.arrayBuffer();
  };
  const durations = await measured(LISTS, list);
  const p50 = percentile(durations, 50).toFixed(0);
  rows.push([
    `list of ${pods} pods, p50 / p99 ms`,
    `${p50} / ${percentile(durations, 99).toFixed(0)}`,
  ]);
}

async function kubectl(): Promise<void> {
  const command = [realClient("kubectl"), "get", "pods", "-n", "few"];
  const env = { KUBECONFIG: server.kubeconfig, HOME: server.dataDir };
  const durations = await measured(KUBECTLS, () => runCommand(command, { env }));
  const p50 = percentile(durations, 50).toFixed(0);
  rows.push([`kubectl get pods (${SHOWN_PODS}), from start to end, p50 ms`, p50]);
}

async function watches(): Promise<void> {
  const script = join(import.meta.dir, "watch-load.ts");
  const child = Bun.spawn(
    [process.execPath, script, server.url, server.token, `${watchers}`, `${WATCHED_EVENTS}`],
    { stdout: "pipe" },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await lines.read();
  await times(WATCHED_EVENTS, (number) =>
    server.client.resource(CONFIG_MAPS, "watched").create(configMapOf("watched", number)),
  );
  const { value } = await lines.read();
  const perSecond = (watchers * WATCHED_EVENTS) / (Number(value) / 1_000);
  rows.push([`deliveries a second to ${watchers} watchers`, perSecond.toFixed(0)]);
}

rows.push(["server's PSS, empty, MiB", pssMegabytes()]);
await times(SHOWN_PODS, (number) =>
  server.client.resource(PODS, "few").create(podOf("few", number)),
);
await times(pods, (number) => server.client.resource(PODS, "full").create(podOf("full", number)));
await times(configMaps, (number) =>
  server.client.resource(CONFIG_MAPS, "full").create(configMapOf("full", number)),
);
rows.push([`server's PSS with ${pods} pods and ${configMaps} ConfigMaps, MiB`, pssMegabytes()]);
await lists();
rows.push(["server's PSS after the lists, MiB", pssMegabytes()]);
await kubectl();
await watches();
printTable(["reading a full cluster", "figure"], rows);
