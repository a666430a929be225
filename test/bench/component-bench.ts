/**
 * Components that answer HTTP, in one run: hit directly at the pod's address, through the Ingress
 * of a whole server, and behind `jco serve` (Node); a CGI style module, with an instance a request;
 * a handler that calls another service; and a gigabyte streamed. wrk, jco, the pods and the server
 * are processes of their own.
 *
 *     bun test/bench/component-bench.ts [--seconds 5] [--connections 64] [--runs 3] [--mib 1024]
 *         [--parts c,js,wagi,calls,stream]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  runCommand,
  spawnServer,
  temporaryDirectory,
  type SpawnedServer,
} from "../harness/spawned-server.ts";
import { serveWithJco } from "./jco-serve.ts";
import { printTable, sampleProcess } from "./measure-process.ts";
import { servePod, type ServedPod } from "./served-pod.ts";
import {
  loadInTurns,
  printTargets,
  wrkLoad,
  type LoadTarget,
  type TargetFigures,
} from "./wrk-load.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "64" },
    runs: { type: "string", default: "3" },
    mib: { type: "string", default: "1024" },
    parts: { type: "string", default: "c,js,wagi,calls,stream" },
  },
});
const load = { connections: Number(values.connections), seconds: Number(values.seconds) };
const runs = Number(values.runs);
const workloads = join(import.meta.dir, "..", "..", "workloads");
const BENCH_COMPONENT = join(import.meta.dir, "testdata", "bench-component.wasm");
const UPSTREAM_DELAY_MS = 20;
const PSS_INTERVAL_MS = 100;
const MIB = 1024 * 1024;
/** Compiled code is as fast as it gets after so long. */
const WARM_UP_SECONDS = 2;

/** One component directly, through the Ingress and behind jco. */
async function compare(server: SpawnedServer, language: string, module: string): Promise<void> {
  const name = `hello-${language.toLowerCase()}`;
  const env = [{ name: "GREETING", value: "Hello" }];
  const pod = await servePod(server, { name, module, container: { env } });
  const jco = await serveWithJco(module, { GREETING: "Hello" }).catch((error: unknown) => {
    process.stderr.write(`jco serve cannot be had: ${String(error)}\n`);
    return undefined;
  });
  try {
    const peers =
      jco === undefined
        ? []
        : [{ name: `${language}, jco serve`, url: jco.url, processes: { node: jco.pid } }];
    const title = `wasi:http component, ${load.connections} connections`;
    await loadAll(title, [...waysTo(server, pod, language), ...peers]);
  } finally {
    await jco?.[Symbol.asyncDispose]();
  }
}

/** hello-wagi: a fresh instance of a core module for each request. */
async function measureWagi(server: SpawnedServer): Promise<void> {
  const module = join(workloads, "hello-wagi", "hello-wagi.wasm");
  const pod = await servePod(server, { name: "hello-wagi", module, runtimeClass: "wagi" });
  const title = `CGI style (wagi), ${load.connections} connections`;
  await loadAll(title, waysTo(server, pod, "hello-wagi"));
}

function waysTo(server: SpawnedServer, pod: ServedPod, name: string): LoadTarget[] {
  const worker = { worker: pod.pid };
  const processes = { server: server.pid, ...worker };
  return [
    { name: `${name}, the pod directly`, url: `${pod.url}/`, processes: worker },
    { name: `${name}, Ingress`, url: `${server.ingress}/`, host: pod.host, processes },
  ];
}

async function loadAll(title: string, targets: readonly LoadTarget[]): Promise<void> {
  await loadInTurns(targets, { ...load, seconds: WARM_UP_SECONDS, runs: 1 });
  printComparison(title, await loadInTurns(targets, { ...load, runs }));
}

function printComparison(title: string, figures: readonly TargetFigures[]): void {
  const [direct, , jco] = figures.map(({ rate }) => rate);
  printTargets(title, figures, {
    title: jco === undefined ? "of direct" : "of direct; of jco",
    cell: ({ rate }) =>
      [rate / (direct ?? Number.NaN), ...(jco === undefined ? [] : [rate / jco])]
        .map((ratio) => `${ratio.toFixed(2)}×`)
        .join("; "),
  });
}

/** A handler that asks another service, which takes its time. */
async function measureCalls(server: SpawnedServer): Promise<void> {
  const upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async () => {
      await Bun.sleep(UPSTREAM_DELAY_MS);
      return new Response("answered\n");
    },
  });
  const url = `http://127.0.0.1:${upstream.port}`;
  const pod = await servePod(server, {
    name: "caller",
    module: BENCH_COMPONENT,
    annotations: { "kubun.dev/allowed-outgoing-hosts": url },
    container: { env: [{ name: "UPSTREAM", value: `${url}/` }] },
  });
  const processes = { server: server.pid, worker: pod.pid };
  const name = `a handler with a call of ${UPSTREAM_DELAY_MS} ms, Ingress`;
  const target = { name, url: `${server.ingress}/call`, host: pod.host, processes };
  // The first burst is the pool's growth: an instance for each of the clients.
  const burst = Array.from({ length: load.connections }, async () => {
    const answer = await fetch(target.url, { headers: { host: pod.host } });
    if (!answer.ok) throw new Error(await answer.text());
  });
  await Promise.all(burst);
  await wrkLoad(target.url, { ...load, host: pod.host, seconds: WARM_UP_SECONDS });
  const figures = await loadInTurns([target], { ...load, runs });
  const most = (load.connections * 1000) / UPSTREAM_DELAY_MS;
  printTargets(`outgoing calls, ${load.connections} connections`, figures, {
    title: "of what waiting alone allows",
    cell: ({ rate }) => `${(rate / most).toFixed(2)}×`,
  });
  await upstream.stop(true);
}

/** The worker's memory while it streams, to a client that reads as fast as it can. */
async function measureStream(server: SpawnedServer): Promise<void> {
  const pod = await servePod(server, { name: "streamer", module: BENCH_COMPONENT });
  const rows = [];
  for (const [name, url, headers] of [
    ["the pod directly", pod.url, {}],
    ["Ingress", server.ingress, { host: pod.host }],
  ] as const) {
    rows.push(await streamOnce(pod, name, `${url}/stream/${values.mib}`, headers));
  }
  printTable(
    [`${values.mib} MiB streamed`, "seconds", "worker before, PSS MiB", "worker's peak, PSS MiB"],
    rows,
  );
}

async function streamOnce(
  pod: ServedPod,
  name: string,
  url: string,
  headers: Record<string, string>,
): Promise<string[]> {
  const before = sampleProcess(pod.pid).pssBytes;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, sampleProcess(pod.pid).pssBytes);
  }, PSS_INTERVAL_MS);
  const startMs = performance.now();
  let received = 0;
  const answer = await fetch(url, { headers });
  for await (const piece of answer.body ?? []) received += piece.length;
  clearInterval(watch);
  if (received !== Number(values.mib) * MIB) throw new Error(`${name}: only ${received} bytes`);
  const seconds = (performance.now() - startMs) / 1000;
  return [name, seconds.toFixed(1), ...[before, peak].map((bytes) => (bytes / MIB).toFixed(1))];
}

/** The JavaScript component is 12 MB and not committed. */
async function compareScript(server: SpawnedServer): Promise<void> {
  const directory = temporaryDirectory();
  try {
    const module = join(directory, "hello-component-js.wasm");
    const build = ["node", join(workloads, "hello-component-js", "build.mjs"), module];
    const { exitCode, stderr } = await runCommand(build);
    if (exitCode !== 0) throw new Error(stderr);
    await compare(server, "JS", module);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const native = join(workloads, "hello-component-c", "hello-component-c.wasm");
const parts: Readonly<Record<string, (server: SpawnedServer) => Promise<void>>> = {
  c: (server) => compare(server, "C", native),
  js: compareScript,
  wagi: measureWagi,
  calls: measureCalls,
  stream: measureStream,
};
await using server = await spawnServer();
for (const part of values.parts.split(",")) await parts[part]?.(server);
