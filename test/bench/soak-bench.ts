/**
 * Starts and stops pods for a long time and tells what is left of them: memory and descriptors of
 * the process that keeps them, files, Unix sockets, processes. What grows from column to column is
 * a leak; the first column is taken after a tenth of the starts, when caches are warm.
 *
 *     bun test/bench/soak-bench.ts [--starts 100000] [--level runtime|api] [--share] \
 *         [--at-once 8] [--replicas 20]
 *
 * `runtime` drives the WASI runtime alone, in this process. `api` scales a Deployment of a spawned
 * server up and down. `--share` puts the containers into shared worker processes.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, PODS, SERVICES } from "../../src/client/index.ts";
import type { WasiRuntime } from "../../src/runtime/index.ts";
import { SHARING_POD, WasiFixture } from "../../src/runtime/wasi/testing/wasi-fixture.ts";
import { locateDataDirectory } from "../../src/cmd/data-directory.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import { printTable } from "./measure-process.ts";
import { censusRows, takeCensus } from "./resource-census.ts";
import type { Census } from "./resource-census.ts";

const { values } = parseArgs({
  options: {
    starts: { type: "string", default: "100000" },
    level: { type: "string", default: "runtime" },
    share: { type: "boolean", default: false },
    "at-once": { type: "string", default: "8" },
    replicas: { type: "string", default: "20" },
  },
});
const starts = Number(values.starts);
const CENSUSES = 5;
const SETTLE_MS = 3000;
const STOP_GRACE_MS = 1000;
const NAME = "soak";

const heading: string[] = [];
const censuses: Census[] = [];

/** Waits for what ends by itself, and counts. */
async function count(label: string, take: () => Census): Promise<void> {
  await Bun.sleep(SETTLE_MS);
  Bun.gc(true);
  heading.push(label);
  censuses.push(take());
  process.stderr.write(`${new Date().toISOString()} ${label}\n`);
}

/** Where to take a census: after a tenth, then in even steps to the end. */
function marks(): number[] {
  const first = Math.ceil(starts / 10);
  const step = (starts - first) / (CENSUSES - 1);
  return Array.from({ length: CENSUSES }, (_, index) => Math.round(first + step * index));
}

async function runOne(fixture: WasiFixture, runtime: WasiRuntime, number: number): Promise<void> {
  const name = `soak-${number}`;
  const sharing = values.share ? SHARING_POD : {};
  const pod = { name, namespace: "default", uid: `uid-${number}`, attempt: 0, ...sharing };
  const sandbox = await runtime.runPodSandbox(pod);
  const logPath = fixture.logPath(name);
  mkdirSync(dirname(logPath), { recursive: true });
  const id = await runtime.createContainer(sandbox.id, {
    name: "main",
    attempt: 0,
    image: fixture.serverImage,
    env: [],
    mounts: [],
    ports: [{ port: 8080, protocol: "TCP" }],
    logPath,
  });
  await runtime.startContainer(id);
  await runtime.containerStats(id);
  const answer = await fixture.fetch(runtime, sandbox.ip, 8080, "/");
  if (!answer.ok) throw new Error(`${name} answered ${answer.status}`);
  await answer.text();
  // Every other one is killed, as one that does not end in time is.
  await runtime.stopContainer(id, { gracePeriodMs: number % 2 === 0 ? STOP_GRACE_MS : 0 });
  await runtime.removeContainer(id);
  await runtime.removePodSandbox(sandbox.id);
  rmSync(dirname(logPath), { recursive: true, force: true });
}

async function soakRuntime(): Promise<void> {
  const fixture = new WasiFixture({ warmWorkers: 2 });
  const { runtime, close } = await fixture.open();
  const events = new AbortController();
  const follow = async (): Promise<void> => {
    for await (const event of runtime.events(events.signal)) void event;
  };
  const following = follow();
  const places = { files: fixture.root, sockets: [] };
  let next = 0;
  for (const mark of marks()) {
    const runner = async (): Promise<void> => {
      while (next < mark) await runOne(fixture, runtime, next++);
    };
    await Promise.all(Array.from({ length: Number(values["at-once"]) }, runner));
    await count(`${mark}`, () => takeCensus(process.pid, places));
  }
  events.abort();
  await following;
  await close();
  await fixture.dispose();
}

async function scaleTo(server: SpawnedServer, replicas: number): Promise<void> {
  const deployments = server.client.resource(DEPLOYMENTS, "default");
  await deployments.patch(NAME, { spec: { replicas } }, { type: "merge" });
  for (;;) {
    const { items } = await server.client.resource(PODS, "default").list();
    const ready = items.filter(({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
    );
    if (items.length === replicas && ready.length === replicas) return;
    await Bun.sleep(100);
  }
}

async function createDeployment(server: SpawnedServer): Promise<void> {
  const path = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");
  const module = new Uint8Array(readFileSync(path));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference: `${NAME}:v1`, module });
  const labels = { app: NAME };
  await server.client.resource(SERVICES, "default").create({
    metadata: { name: NAME },
    spec: { selector: labels, ports: [{ port: 8080 }] },
  });
  const annotations = values.share ? SHARING_POD.annotations : {};
  const port = { containerPort: 8080 };
  const probe = { httpGet: { path: "/healthz", port: 8080 } };
  const container = { name: "web", image: `${NAME}:v1`, ports: [port], readinessProbe: probe };
  await server.client.resource(DEPLOYMENTS, "default").create({
    metadata: { name: NAME },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: { containers: [container], terminationGracePeriodSeconds: 1 },
      },
    },
  });
}

async function soakApi(): Promise<void> {
  await using server = await spawnServer();
  const replicas = Number(values.replicas);
  await createDeployment(server);
  const places = {
    files: server.dataDir,
    sockets: [locateDataDirectory(server.dataDir).sockets],
  };
  let started = 0;
  for (const mark of marks()) {
    for (; started < mark; started += replicas) {
      await scaleTo(server, replicas);
      await scaleTo(server, 0);
    }
    await count(`${started}`, () => takeCensus(server.pid, places));
  }
}

const startedMs = performance.now();
await (values.level === "api" ? soakApi() : soakRuntime());
const seconds = (performance.now() - startedMs) / 1000;
printTable([`starts (${values.level}, ${seconds.toFixed(0)} s)`, ...heading], censusRows(censuses));
process.exit();
