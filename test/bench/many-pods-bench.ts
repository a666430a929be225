/**
 * Many replicas of workloads/hello-http on one node: the time until all are ready, what they and
 * the server cost, the requests/s of their Service, the time in which a server that starts again
 * adopts them, and the time until nothing is left of them.
 *
 *     bun test/bench/many-pods-bench.ts [--pods 500] [--apply] [--annotation key=value]… \
 *         [--requests cpu=1m,memory=1Mi] [--profile DIRECTORY] [--only-start]
 *
 * Without `--apply` a Deployment of one replica is scaled; with it one of all replicas is created.
 * `--requests` replaces what each pod asks of the node, so that more of them fit; the node takes as
 * many as there are to be. 2,000 pods that share processes:
 *
 *     bun test/bench/many-pods-bench.ts --pods 2000 --requests cpu=1m,memory=1Mi \
 *         --annotation kubun.dev/share-worker=true --only-start
 *
 * `--profile` has Bun write a CPU profile (.cpuprofile) of the first server to the directory.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Deployment } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, EVENTS, PODS, SERVICES } from "../../src/client/index.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import { printTable, sampleProcess } from "./measure-process.ts";
import type { ProcessSample } from "./measure-process.ts";
import { workersOf } from "./worker-processes.ts";

const NAME = "hello-http";
const DEADLINE_MS = 600_000;
const LOAD_SECONDS = 10;
const MIB = 1024 * 1024;

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "500" },
    apply: { type: "boolean", default: false },
    annotation: { type: "string", multiple: true, default: [] },
    requests: { type: "string" },
    profile: { type: "string" },
    "only-start": { type: "boolean", default: false },
  },
});
const pods = Number(values.pods);
const rows: (string | number)[][] = [];

function row(what: string, value: number, unit: string, digits = 1): void {
  rows.push([what, `${value.toFixed(digits)} ${unit}`]);
  process.stderr.write(`${what}: ${value.toFixed(digits)} ${unit}\n`);
}

/** The Deployment as its folder has it: probes, limits and all. */
function deployment(replicas: number): Deployment {
  const path = join(import.meta.dir, "..", "..", "workloads", NAME, `${NAME}.yaml`);
  const [object] = Bun.YAML.parse(readFileSync(path, "utf8")) as [Deployment];
  const { spec } = object;
  if (spec === undefined) throw new Error(`${path} has no spec`);
  spec.replicas = replicas;
  const annotations = pairsOf(values.annotation);
  const { requests } = values;
  for (const container of spec.template.spec?.containers ?? []) {
    if (requests === undefined) continue;
    container.resources = { ...container.resources, requests: pairsOf(requests.split(",")) };
  }
  spec.template.metadata = { ...spec.template.metadata, annotations };
  return object;
}

/** Of texts `key=value`. */
function pairsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => text.split(/=(.*)/s)));
}

async function create(server: SpawnedServer, replicas: number): Promise<void> {
  const workload = join(import.meta.dir, "..", "..", "workloads", NAME);
  const module = new Uint8Array(readFileSync(join(workload, `${NAME}.wasm`)));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference: `${NAME}:v1`, module });
  await server.client.resource(SERVICES, "default").create({
    metadata: { name: NAME },
    spec: { selector: { app: NAME }, ports: [{ name: "http", port: 8080 }] },
  });
  await server.client.resource(DEPLOYMENTS, "default").create(deployment(replicas));
}

/** Waits on a watch, which costs the server one event a change of the status. */
async function untilReady(server: SpawnedServer, wanted: number): Promise<void> {
  const deployments = server.client.resource(DEPLOYMENTS, "default");
  const signal = AbortSignal.timeout(DEADLINE_MS);
  for await (const { object } of deployments.watch({ signal })) {
    if ((object.status?.readyReplicas ?? 0) >= wanted) return;
  }
  throw new Error(`${wanted} replicas were not ready after ${DEADLINE_MS} ms`);
}

/** The object's revision tells how many writes the store has taken. */
async function revision(server: SpawnedServer): Promise<number> {
  const list = await server.client.resource(PODS, "default").list({ limit: 1 });
  return Number(list.metadata.resourceVersion);
}

async function benchStart(server: SpawnedServer): Promise<void> {
  if (!values.apply) {
    await create(server, 1);
    await untilReady(server, 1);
  }
  const before = sampleProcess(server.pid);
  const writesBefore = await revision(server);
  const startedMs = performance.now();
  if (values.apply) await create(server, pods);
  else {
    const deployments = server.client.resource(DEPLOYMENTS, "default");
    await deployments.patch(NAME, { spec: { replicas: pods } }, { type: "merge" });
  }
  await untilReady(server, pods);
  row(`${pods} pods ready`, (performance.now() - startedMs) / 1000, "s");
  const after = sampleProcess(server.pid);
  row("server, CPU until then", (after.cpuMs - before.cpuMs) / 1000, "s");
  row("writes a pod", ((await revision(server)) - writesBefore) / pods, "");
  await Bun.sleep(2000);
  const samples = workersOf(server.dataDir).flatMap(sampleIfRunning);
  row("worker processes", samples.length, "", 0);
  row("containers started again", await restartsOf(server), "", 0);
  const cpuMs = samples.reduce((sum, one) => sum + one.cpuMs, 0);
  row("worker, CPU a pod", cpuMs / pods, "ms");
  const pssBytes = samples.reduce((sum, one) => sum + one.pssBytes, 0);
  row("worker, PSS a pod", pssBytes / pods / MIB, "MiB", 2);
  row("server, PSS", sampleProcess(server.pid).pssBytes / MIB, "MiB", 0);
  const events = await server.client.resource(EVENTS, "default").list({ limit: 1 });
  row("events", 1 + (events.metadata.remainingItemCount ?? 0), "", 0);
}

/** A worker that ended meanwhile was started again: the pod's restarts tell it. */
function sampleIfRunning(pid: number): readonly ProcessSample[] {
  try {
    return [sampleProcess(pid)];
  } catch {
    return [];
  }
}

async function restartsOf(server: SpawnedServer): Promise<number> {
  const { items } = await server.client.resource(PODS, "default").list();
  return items
    .flatMap(({ status }) => status?.containerStatuses ?? [])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
}

async function benchIdle(server: SpawnedServer): Promise<void> {
  const workersCpuMs = (): number =>
    workersOf(server.dataDir)
      .flatMap(sampleIfRunning)
      .reduce((sum, one) => sum + one.cpuMs, 0);
  const before = sampleProcess(server.pid);
  const workersBefore = workersCpuMs();
  await Bun.sleep(LOAD_SECONDS * 1000);
  const used = sampleProcess(server.pid).cpuMs - before.cpuMs;
  row("server beside idle pods", used / (LOAD_SECONDS * 10), "% of a core");
  const workersUsed = workersCpuMs() - workersBefore;
  row("an idle pod, CPU a minute", (workersUsed * 60) / LOAD_SECONDS / pods, "ms");
}

async function benchRequests(server: SpawnedServer): Promise<void> {
  const { spec } = await server.client.resource(SERVICES, "default").get(NAME);
  const url = `http://${spec?.clusterIP}:8080/`;
  const { stdout } = await runCommand(["wrk", "-t1", "-c32", `-d${LOAD_SECONDS}s`, url]);
  row(
    "requests through the Service",
    Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    "/s",
    0,
  );
}

/** A server that starts again takes up what runs; none of it may start over. */
async function benchAdoption(server: SpawnedServer): Promise<SpawnedServer> {
  const before = new Set(workersOf(server.dataDir));
  await server.end("SIGTERM");
  const startedMs = performance.now();
  const next = await spawnServer({ dataDir: server.dataDir, args });
  row("server ready again", (performance.now() - startedMs) / 1000, "s");
  await untilReady(next, pods);
  row("all pods adopted and ready", (performance.now() - startedMs) / 1000, "s");
  row("server, CPU until then", sampleProcess(next.pid).cpuMs / 1000, "s");
  const lost = workersOf(next.dataDir).filter((pid) => !before.has(pid));
  row("workers that were started again", lost.length, "", 0);
  row("server, PSS after the restart", sampleProcess(next.pid).pssBytes / MIB, "MiB", 0);
  return next;
}

async function benchEnd(server: SpawnedServer): Promise<void> {
  const before = sampleProcess(server.pid);
  const client = server.client.resource(PODS, "default");
  const startedMs = performance.now();
  await server.client.resource(DEPLOYMENTS, "default").delete(NAME, {});
  while ((await client.list({ limit: 1 })).items.length > 0) await Bun.sleep(100);
  row("all pods gone", (performance.now() - startedMs) / 1000, "s");
  row("server, CPU until then", (sampleProcess(server.pid).cpuMs - before.cpuMs) / 1000, "s");
  row("workers left", workersOf(server.dataDir).length, "", 0);
}

const { profile } = values;
const bun = ["--cpu-prof", "--cpu-prof-dir", profile ?? ""];
const command = (cmd: readonly string[]): string[] =>
  profile === undefined ? [...cmd] : [process.execPath, ...bun, `${KUBUN}.ts`, ...cmd.slice(1)];
/** Some more than are wanted: the pod that is there before counts. */
const args = ["--max-pods", `${pods + 10}`];
const first = await spawnServer({ command, args });
let server = first;
try {
  await benchStart(server);
  if (!values["only-start"]) {
    await benchIdle(server);
    await benchRequests(server);
    server = await benchAdoption(server);
    await benchEnd(server);
  }
  printTable([`${pods} pods of ${NAME}`, ""], rows);
} finally {
  await server[Symbol.asyncDispose]();
}
process.exit();
