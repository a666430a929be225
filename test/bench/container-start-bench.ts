/**
 * A container pod's way from its binding to Running, as a watch sees it, against the same calls of
 * the CRI from a bare script to the same containerd in the same run; then many pods at once, and the
 * memory of all that serves them. Needs root; runs in a network namespace of its own.
 *
 *     bun test/bench/container-start-bench.ts [--starts 20] [--pods 100]
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Pod } from "../../src/api/index.ts";
import { PODS } from "../../src/client/index.ts";
import { systemClock } from "../../src/os/index.ts";
import { type CriClient, connectCri } from "../../src/runtime/oci/cri/cri-client.ts";
import { RUNTIME } from "../../src/runtime/oci/cri/methods.ts";
import { imageArchive } from "../../src/runtime/oci/daemon/image-archive.ts";
import { busyboxImage } from "../../src/runtime/oci/testing/busybox-images.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    starts: { type: "string", default: "20" },
    pods: { type: "string", default: "100" },
    inside: { type: "boolean", default: false },
  },
});

if (!values.inside) {
  const script = 'ip link set lo up && exec "$@"';
  const self = [process.execPath, import.meta.path, "--inside"];
  const passed = ["--starts", values.starts, "--pods", values.pods];
  const child = Bun.spawn({
    cmd: ["unshare", "--net", "sh", "-c", script, "bench", ...self, ...passed],
    stdio: ["inherit", "inherit", "inherit"],
  });
  process.exit(await child.exited);
}

const IMAGE = "bench-server:v1";
const MIB = 1024 * 1024;
const TIMEOUT = { timeoutMs: 60_000 };

function podOf(name: string, network: "machine" | "own"): Pod {
  return {
    metadata: { name },
    spec: {
      hostNetwork: network === "machine",
      containers: [{ name: "main", image: IMAGE, command: ["sleep", "1000000"] }],
      terminationGracePeriodSeconds: 0,
    },
  };
}

await using server = await spawnServer({ args: ["--container-runtime-endpoint", "own"] });
const pods = server.client.resource(PODS, "default");
const watching = new AbortController();
const boundAtMs = new Map<string, number>();
const waiting = new Map<string, (elapsedMs: number) => void>();

async function pushServerImage(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-bench-"));
  const archive = join(directory, "image.tar");
  writeFileSync(archive, await imageArchive(await busyboxImage(IMAGE, ["server"])));
  const cmd = [KUBUN, "image", "push", "--data-dir", server.dataDir, archive, IMAGE];
  const pushed = await runCommand(cmd);
  rmSync(directory, { recursive: true });
  if (pushed.exitCode !== 0) throw new Error(pushed.stderr);
}

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

function startPod(name: string, network: "machine" | "own"): Promise<number> {
  const running = new Promise<number>((resolve) => waiting.set(name, resolve));
  return pods.create(podOf(name, network)).then(() => running);
}

async function bareStart(client: CriClient, image: string, name: string): Promise<number> {
  const startMs = performance.now();
  const config = {
    metadata: { name, uid: name, namespace: "bare", attempt: 0 },
    logDirectory: "/tmp",
    linux: { securityContext: { namespaceOptions: { network: 2, pid: 1 } } },
  };
  const { podSandboxId } = await client.call(RUNTIME.runPodSandbox, { config }, TIMEOUT);
  await client.call(RUNTIME.podSandboxStatus, { podSandboxId, verbose: true }, TIMEOUT);
  const { containerId } = await client.call(
    RUNTIME.createContainer,
    {
      podSandboxId,
      config: {
        metadata: { name: "main", attempt: 0 },
        image: { image },
        command: ["sleep", "1000000"],
        logPath: `${name}.log`,
        linux: { securityContext: { namespaceOptions: { network: 2, pid: 1 } } },
      },
      sandboxConfig: config,
    },
    TIMEOUT,
  );
  await client.call(RUNTIME.startContainer, { containerId }, TIMEOUT);
  await client.call(RUNTIME.containerStatus, { containerId }, TIMEOUT);
  const elapsedMs = performance.now() - startMs;
  await client.call(RUNTIME.stopPodSandbox, { podSandboxId }, TIMEOUT);
  await client.call(RUNTIME.removePodSandbox, { podSandboxId }, TIMEOUT);
  rmSync(`/tmp/${name}.log`, { force: true });
  return elapsedMs;
}

/** Proportional memory of every process whose command line has this text. */
function memoryOf(text: string): { readonly count: number; readonly mib: number } {
  let count = 0;
  let kib = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").includes(text))
        continue;
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      kib += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
      count++;
    } catch {
      continue; // It ended while it was looked at.
    }
  }
  return { count, mib: (kib * 1024) / MIB };
}

await pushServerImage();
void follow().catch((error: unknown) => {
  if (!watching.signal.aborted) throw error;
});
await startPod("warm-up", "machine");
await pods.delete("warm-up", { gracePeriodSeconds: 0 });
const configuration = readFileSync(join(server.dataDir, "containers", "config.toml"), "utf8");
const socketPath = /address = "([^"]+)"/.exec(configuration)?.[1] ?? "";
const client = await connectCri(socketPath, systemClock);

const kubun: number[] = [];
const bare: number[] = [];
for (let index = 0; index < Number(values.starts); index++) {
  const name = `start-${index}`;
  kubun.push(await startPod(name, "machine"));
  await pods.delete(name, { gracePeriodSeconds: 0 });
  bare.push(await bareStart(client, `docker.io/library/${IMAGE}`, `bare-${index}`));
}
const rows = [
  ["Kubun, bind to Running", kubun],
  ["the same calls from a script", bare],
] as const;
printTable(
  ["container pod", "p50 ms", "p90 ms"],
  rows.map(([what, times]) => [
    what,
    ...[50, 90].map((rank) => percentile(times, rank).toFixed(0)),
  ]),
);
console.log(`ratio of the medians: ${(percentile(kubun, 50) / percentile(bare, 50)).toFixed(2)}`);

const before = memoryOf(server.dataDir);
const beganMs = performance.now();
const many = Array.from({ length: Number(values.pods) }, (_, index) => `many-${index}`);
await Promise.all(many.map((name) => startPod(name, "own")));
const tookMs = performance.now() - beganMs;
const shims = memoryOf(socketPath);
const after = memoryOf(server.dataDir);
console.log(`${many.length} container pods Running in ${(tookMs / 1000).toFixed(1)} s`);
printTable(
  ["memory (PSS)", "MiB"],
  [
    ["server, containerd: before", before.mib.toFixed(1)],
    [`server, containerd: with ${many.length} pods`, after.mib.toFixed(1)],
    ["a shim", (shims.mib / Math.max(1, shims.count)).toFixed(1)],
  ],
);
watching.abort();
await Promise.all(many.map((name) => pods.delete(name, { gracePeriodSeconds: 0 })));
// Objects of pods that are deleted at once go before their containers do.
const deadlineMs = performance.now() + 180_000;
while (performance.now() < deadlineMs) {
  const { items } = await client.call(RUNTIME.listPodSandboxes, {}, TIMEOUT);
  if (items.length === 0) break;
  await Bun.sleep(500);
}
client.close();
