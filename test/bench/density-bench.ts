/**
 * Many containers of workloads/hello-http that share their worker processes: the time until all
 * serve, what a pod costs in the workers and in the server, and what is left when they are gone.
 * Without `--cluster` it is the runtime alone, with no API server.
 *
 *     bun test/bench/density-bench.ts [--pods 2000] [--own] [--cluster]
 *
 * `--own` gives each container a process of its own, for comparison.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { formatReference, type ResolvedImage } from "../../src/images/index.ts";
import { SeededRandom, silentLogger } from "../../src/lib/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { createProcessSpawner, systemClock } from "../../src/os/index.ts";
import { createWasiRuntime, openProcessLimits, type WasiRuntime } from "../../src/runtime/index.ts";
import { percentile, printTable, sampleProcess } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "2000" },
    own: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
  },
});
const pods = Number(values.pods);
const root = join(import.meta.dir, "..", "..");
const IMAGE = "hello-http:v1";
/** As many as the kubelet starts at the same time. */
const CONCURRENT_STARTS = 16;
const MIB = 1024 * 1024;

interface StartedPod {
  readonly ip: string;
  readonly id: string;
}

function openRuntime(directory: string): WasiRuntime {
  const spawner = createProcessSpawner();
  const image: ResolvedImage = {
    reference: IMAGE,
    digest: `sha256:${createHash("sha256").update(IMAGE).digest("hex")}`,
    kind: "wasm",
    modulePath: join(root, "workloads", "hello-http", "hello-http.wasm"),
    config: {},
    sizeBytes: 1,
  };
  const find = (reference: Parameters<typeof formatReference>[0] | string) =>
    (typeof reference === "string" ? reference : formatReference(reference)) === IMAGE
      ? image
      : undefined;
  return createWasiRuntime({
    stateDirectory: join(directory, "state"),
    socketDirectory: join(directory, "s"),
    images: {
      get: find,
      list: () => [image],
      pull: async () => image,
      remove: async () => false,
    },
    podCidr: "127.42.0.0/16",
    spawner,
    openLimits: () =>
      openProcessLimits({
        stateDirectory: join(directory, "state"),
        cpuMillis: availableParallelism() * 1000,
        spawner,
        clock: systemClock,
        logger: silentLogger,
      }),
    workerCommand: [process.execPath, join(root, "src", "cmd", "wasi-worker.ts")],
    workerCode: {
      directory: process.env["KUBUN_WORKER_CODE"] ?? join(directory, "code"),
      buildCommand: [process.execPath, join(root, "src", "cmd", "wasi-bundle.ts")],
    },
    clock: systemClock,
    random: new SeededRandom(1),
    logger: silentLogger,
  });
}

async function startPod(
  runtime: WasiRuntime,
  directory: string,
  name: string,
): Promise<StartedPod> {
  const sandbox = await runtime.runPodSandbox({
    name,
    namespace: "default",
    uid: name,
    attempt: 0,
    serviceAccount: "default",
    annotations: { "kubun.dev/share-worker": `${!values.own}` },
  });
  const logPath = join(directory, "logs", name, "0.log");
  mkdirSync(dirname(logPath), { recursive: true });
  const id = await runtime.createContainer(sandbox.id, {
    name: "web",
    attempt: 0,
    image: IMAGE,
    env: [["NAME", name]],
    mounts: [],
    ports: [{ port: 8080, protocol: "TCP" }],
    logPath,
    memoryLimitBytes: 16 * MIB,
    resources: { qosClass: "Burstable", podCpuRequestMillis: 0 },
  });
  await runtime.startContainer(id);
  return { ip: sandbox.ip, id };
}

/** Runs `task` for each index, a few at a time. */
async function forEachPod<T>(task: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < pods; index = next++) results[index] = await task(index);
  };
  await Promise.all(Array.from({ length: CONCURRENT_STARTS }, work));
  return results;
}

async function ask(runtime: WasiRuntime, { ip }: StartedPod): Promise<number> {
  const unix = runtime.endpoint(ip, 8080);
  if (unix === undefined) throw new Error(`${ip} has no endpoint`);
  const beganMs = performance.now();
  const response = await fetch("http://pod/healthz", { unix, headers: { connection: "close" } });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`${ip} answered ${response.status}`);
  return performance.now() - beganMs;
}

async function benchRuntime(directory: string): Promise<void> {
  const runtime = openRuntime(directory);
  await runtime.start();
  Bun.gc(true);
  const own = (): number => sampleProcess(process.pid).pssBytes;
  const before = own();
  const cpuBeforeMs = sampleProcess(process.pid).cpuMs;
  const beganMs = performance.now();
  const started = await forEachPod((index) => startPod(runtime, directory, `pod-${index}`));
  const startedMs = performance.now() - beganMs;
  await forEachPod((index) => ask(runtime, started[index] as StartedPod));
  const servedMs = performance.now() - beganMs;
  const times = await forEachPod((index) => ask(runtime, started[index] as StartedPod));
  const statuses = await runtime.listContainers();
  const pids = new Set(statuses.map(({ pid }) => pid ?? 0));
  const samples = [...pids].map(sampleProcess);
  const workerBytes = samples.reduce((sum, { pssBytes }) => sum + pssBytes, 0);
  const workerCpuMs = samples.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  const ownCpuMs = sampleProcess(process.pid).cpuMs - cpuBeforeMs;
  const descriptors = [...pids].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
  Bun.gc(true);
  const grown = own() - before;
  const endMs = performance.now();
  await Promise.all(started.map(({ id }) => runtime.removeContainer(id)));
  const endedMs = performance.now() - endMs;
  for (const { id } of await runtime.listPodSandboxes()) await runtime.removePodSandbox(id);
  runtime.shutdown();
  await eventually(() => [...pids].every((pid) => !isRunning(pid)));
  const perPod = (bytes: number): string => `${(bytes / pods / MIB).toFixed(3)} MiB`;
  printTable(
    [`${pods} containers, ${values.own ? "a process each" : "sharing processes"}`, ""],
    [
      ["worker processes", pids.size],
      ["PSS of all workers, a pod", perPod(workerBytes)],
      ["the server grew by, a pod", perPod(grown)],
      ["CPU of workers, a pod", `${(workerCpuMs / pods).toFixed(1)} ms`],
      ["CPU of the server, a pod", `${(ownCpuMs / pods).toFixed(1)} ms`],
      ["all started after", `${(startedMs / 1000).toFixed(1)} s`],
      ["all have answered after", `${(servedMs / 1000).toFixed(1)} s`],
      ["an answer, 16 clients, p50", `${percentile(times, 50).toFixed(2)} ms`],
      ["an answer, 16 clients, p99", `${percentile(times, 99).toFixed(2)} ms`],
      ["descriptors of a worker, most", Math.max(...descriptors)],
      ["all ended after", `${(endedMs / 1000).toFixed(1)} s`],
      ["state directories left", readdirSync(join(directory, "state", "containers")).length],
    ],
  );
}

function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false; // Its directory is gone, and so is it.
  }
}

/** The same through the API server, the scheduler and the kubelet. */
function benchCluster(): void {
  const bench = join(import.meta.dir, "many-pods-bench.ts");
  const annotation = `kubun.dev/share-worker=${!values.own}`;
  const args = ["--pods", `${pods}`, "--apply", "--only-start", "--annotation", annotation];
  const { exitCode } = Bun.spawnSync([process.execPath, bench, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exitCode = exitCode;
}

if (values.cluster) benchCluster();
else {
  const directory = mkdtempSync(join(tmpdir(), "kd-"));
  try {
    await benchRuntime(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
