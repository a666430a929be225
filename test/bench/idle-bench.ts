/**
 * Time to ready on an empty data directory and on one with 10,000 objects, and what an idle server
 * costs, each beside etcd-server alone (the store of a Kubernetes control plane, nothing else).
 *
 *     bun test/bench/idle-bench.ts [--idle-seconds 60] [--only-idle]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CONFIG_MAPS } from "../../src/client/index.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
import { KUBUN, readAccess, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import { median, printTable, sampleProcess } from "./measure-process.ts";
import { startEtcd } from "./start-etcd.ts";

const RUNS = 5;
const OBJECTS = 10_000;
const WRITERS = 32;
const SETTLE_MS = 15_000;
const MIB = 1024 * 1024;

const { values } = parseArgs({
  options: {
    "idle-seconds": { type: "string", default: "60" },
    "only-idle": { type: "boolean", default: false },
  },
});
const idleSeconds = Number(values["idle-seconds"]);

/** Milliseconds from spawning the process until /readyz answers 200. */
async function timeToReady(dataDir: string): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const startedMs = performance.now();
  const flags = ["--data-dir", dataDir, "--https-port", `${port}`, "--http-port", "0"];
  const child = Bun.spawn({
    cmd: [KUBUN, "server", ...flags, "--log-level", "error"],
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (;;) {
    try {
      const url = `https://127.0.0.1:${port}/readyz`;
      const response = await fetch(url, { tls: { rejectUnauthorized: false } });
      if (response.status === 200) break;
    } catch {
      // It does not listen yet: ask again.
    }
    await Bun.sleep(2);
  }
  const elapsedMs = performance.now() - startedMs;
  child.kill("SIGTERM");
  await child.exited;
  return elapsedMs;
}

async function fill(dataDir: string): Promise<void> {
  const server = await spawnServer({ dataDir });
  const maps = server.client.resource(CONFIG_MAPS, "default");
  const data = { value: "x".repeat(1024) };
  const write = async (writer: number): Promise<void> => {
    for (let index = writer; index < OBJECTS; index += WRITERS) {
      await maps.create({ metadata: { name: `object-${index}` }, data });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  await server.end("SIGTERM");
}

async function repeat(measure: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) times.push(await measure());
  return median(times);
}

async function benchReady(): Promise<void> {
  const empty = await repeat(async () => {
    const dataDir = temporaryDirectory();
    const elapsedMs = await timeToReady(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
    return elapsedMs;
  });
  const fullDir = temporaryDirectory();
  await fill(fullDir);
  const full = await repeat(() => timeToReady(fullDir));
  rmSync(fullDir, { recursive: true, force: true });
  const etcd = await repeat(async () => {
    const peer = await startEtcd();
    await peer.stop();
    return peer.readyAfterMs;
  });
  printTable(
    ["time to ready (median of 5)", "ms", "against etcd-server"],
    [
      ["kubun, empty data directory", empty.toFixed(0), `${(empty / etcd).toFixed(2)}×`],
      ["kubun, 10,000 objects", full.toFixed(0), `${(full / etcd).toFixed(2)}×`],
      ["etcd-server, empty data directory", etcd.toFixed(0), "1×"],
    ],
  );
}

async function measureIdle(name: string, pid: number): Promise<(string | number)[]> {
  await Bun.sleep(SETTLE_MS);
  const before = sampleProcess(pid);
  await Bun.sleep(idleSeconds * 1000);
  const after = sampleProcess(pid);
  const cpu = (after.cpuMs - before.cpuMs) / (idleSeconds * 10);
  const written = ((after.writtenBytes - before.writtenBytes) / 1024) * (60 / idleSeconds);
  return [name, (after.pssBytes / MIB).toFixed(0), cpu.toFixed(2), written.toFixed(0)];
}

async function benchIdle(): Promise<void> {
  const rows: (string | number)[][] = [];
  {
    await using server = await spawnServer();
    rows.push(await measureIdle("kubun server, no pods", server.pid));
  }
  {
    await using group = await spawnServerGroup({ servers: 3 });
    const measured = group.servers.map(({ pid }, index) =>
      measureIdle(`kubun server, number ${index + 1} of three`, pid),
    );
    rows.push(...(await Promise.all(measured)));
  }
  const dataDir = join(temporaryDirectory(), "cluster");
  const ports = ["--https-port", "0", "--http-port", "0"];
  await Bun.spawn([KUBUN, "up", "--detach", "--data-dir", dataDir, ...ports]).exited;
  const { pid } = await Bun.file(join(dataDir, "server.json")).json();
  await readAccess(dataDir).request("/readyz");
  rows.push(await measureIdle("kubun server, sample workload", pid));
  await Bun.spawn([KUBUN, "delete", "--data-dir", dataDir]).exited;
  const etcd = await startEtcd();
  rows.push(await measureIdle("etcd-server", etcd.pids[0] ?? 0));
  await etcd.stop();
  printTable(["idle process", "PSS MiB", "% of a core", "KiB written a minute"], rows);
}

if (!values["only-idle"]) await benchReady();
await benchIdle();
process.exit();
