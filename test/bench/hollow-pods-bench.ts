/**
 * What a pod costs the control plane alone: API server, store, controllers, scheduler and node
 * agent in this process, over a runtime whose containers run at once and do nothing.
 *
 *     bun [--cpu-prof --cpu-prof-dir DIRECTORY] test/bench/hollow-pods-bench.ts [--pods 500] [--no-tokens]
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  ADMINISTRATORS,
  bootstrap,
  createApiServer,
  createTokenKeys,
  ServiceAccountTokens,
  tokenAuthenticator,
} from "../../src/apiserver/index.ts";
import { createClient, DEPLOYMENTS, PODS, SERVICES } from "../../src/client/index.ts";
import type { Client } from "../../src/client/index.ts";
import { startControllers } from "../../src/controllers/index.ts";
import { createKubelet } from "../../src/kubelet/index.ts";
import { silentLogger as logger } from "../../src/lib/index.ts";
import { createDisk, systemClock as clock, systemRandom as random } from "../../src/os/index.ts";
import { createRegistry } from "../../src/registry/index.ts";
import type { ContainerRuntime } from "../../src/runtime/index.ts";
import { startScheduler } from "../../src/scheduler/index.ts";
import { openStore } from "../../src/store/index.ts";
import { HollowRuntime } from "./hollow-runtime.ts";
import { printTable } from "./measure-process.ts";

const NAME = "hollow";
const TOKEN = "bench";
const { values } = parseArgs({
  allowNegative: true,
  options: {
    pods: { type: "string", default: "500" },
    /** Whether each pod gets the volume with a token of its account, as in a cluster. */
    tokens: { type: "boolean", default: true },
  },
});
const pods = Number(values.pods);
const directory = mkdtempSync(join(tmpdir(), "kubun-hollow-"));
/** As on a machine that has it. */
const memory = mkdtempSync("/dev/shm/kubun-hollow-");
const stop = new AbortController();
const { signal } = stop;
const rows: string[][] = [];

async function startControlPlane(): Promise<Client> {
  const disk = createDisk();
  const store = await openStore({
    directory: join(directory, "store"),
    disk,
    clock,
    random,
    logger,
  });
  const nodePortRange = { from: 30_000, to: 32_767 };
  const serviceCidr = "10.43.0.0/16";
  const common = { clock, random, logger };
  const accountTokens = values.tokens ? { accountTokens: "mounted" as const } : {};
  const ranges = { serviceCidr, nodePortRange };
  const registry = createRegistry({ store, ...common, ...ranges, ...accountTokens });
  await bootstrap({ registry, logger, servers: [{ address: "127.0.0.1", port: 6443 }] });
  const admin = { name: "admin", groups: [ADMINISTRATORS] };
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = createTokenKeys(privateKey.export({ type: "pkcs8", format: "pem" }));
  const app = createApiServer({
    registry,
    ...common,
    serviceAccountTokens: new ServiceAccountTokens({ keys, present: registry.present, clock }),
    authenticator: tokenAuthenticator(new Map([[TOKEN, admin]])),
    nodeConnector: () => undefined,
    version: { major: "1", minor: "36", gitVersion: "v1.36.0", gitCommit: "", platform: "" },
  });
  const fetch = async (request: Request): Promise<Response> => app.fetch(request);
  return createClient({ fetch, token: TOKEN, userAgent: "bench", clock });
}

async function startNode(client: Client): Promise<void> {
  const kubelet = createKubelet({
    nodeName: "node-1",
    client,
    runtime: new HollowRuntime() as unknown as ContainerRuntime,
    clock,
    random,
    logger,
    rootDirectory: join(directory, "kubelet"),
    memoryDirectory: join(memory, "kubelet"),
    logDirectory: join(directory, "logs"),
    nodeAddress: "127.0.0.1",
    podCidr: "10.42.0.0/16",
    capacity: { cpuMillis: 1e6, memoryBytes: 2 ** 40, ephemeralStorageBytes: 2 ** 40 },
    kubeletVersion: "v1.36.0",
  });
  await kubelet.start(signal);
}

/** Time and processor time of what happens until the promise resolves. */
async function measure(what: string, done: Promise<void>): Promise<void> {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  await done;
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
  rows.push([what, `${seconds} s`, `${(cpuMs / pods).toFixed(2)} ms`]);
}

async function untilReady(client: Client): Promise<void> {
  for await (const { object } of client.resource(DEPLOYMENTS, "default").watch({ signal })) {
    if ((object.status?.readyReplicas ?? 0) >= pods) return;
  }
}

async function untilGone(client: Client): Promise<void> {
  const resource = client.resource(PODS, "default");
  while ((await resource.list({ limit: 1 })).items.length > 0) await Bun.sleep(50);
}

const client = await startControlPlane();
startControllers({ client, clock, random, logger, signal, rootCa: "PEM" });
startScheduler({ client, clock, random, logger, signal });
await startNode(client);
const labels = { app: NAME };
const selector = { matchLabels: labels };
const containers = [{ name: "web", image: "hollow:v1", ports: [{ containerPort: 8080 }] }];
await client
  .resource(SERVICES, "default")
  .create({ metadata: { name: NAME }, spec: { selector: labels, ports: [{ port: 8080 }] } });
const template = { metadata: { labels }, spec: { containers } };
const spec = { replicas: 0, selector, template };
const deployments = client.resource(DEPLOYMENTS, "default");
await deployments.create({ metadata: { name: NAME }, spec });
await deployments.patch(NAME, { spec: { replicas: pods } }, { type: "merge" });
await measure(`${pods} pods ready`, untilReady(client));
await Bun.sleep(1000);
await deployments.delete(NAME, {});
await measure(`${pods} pods gone`, untilGone(client));
printTable(["hollow pods", "time", "processor time a pod"], rows);
stop.abort();
for (const path of [directory, memory]) rmSync(path, { recursive: true, force: true });
process.exit();
