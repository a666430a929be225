/**
 * The wake of a Deployment that sleeps: from a request at the Ingress until its answer, one after the
 * other, and what a client in another process sees on the way, on watches. Then pods with a warm
 * worker from their binding to Running.
 *
 *     bun test/bench/cold-start-bench.ts [--wakes 50] [--pods 50]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseAllDocuments } from "yaml";
import type { Deployment, Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import {
  type ApiResource,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  INGRESSES,
  PODS,
  REPLICA_SETS,
  SERVICES,
} from "../../src/client/index.ts";
import type { KubeObject } from "../../src/apimachinery/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import { percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: { wakes: { type: "string", default: "50" }, pods: { type: "string", default: "50" } },
});
const NAME = "hello-component-c";
const folder = join(import.meta.dir, "..", "..", "workloads", NAME);
const module = new Uint8Array(readFileSync(join(folder, `${NAME}.wasm`)));
/** Until the pool has a warm worker again, and nothing of the last pod is left to do. */
const REST_MS = 400;

/** When each step of a wake was seen first, and what tells it. */
const steps = {
  "Deployment scaled": (object: KubeObject) => replicasOf(object) === 1,
  "ReplicaSet scaled": (object: KubeObject) => replicasOf(object) === 1,
  "pod created": () => true,
  "pod bound": (object: KubeObject) => (object as Pod).spec?.nodeName !== undefined,
  "pod running": (object: KubeObject) => (object as Pod).status?.phase === "Running",
  "pod ready": (object: KubeObject) => isReady(object),
  "endpoint ready": (object: KubeObject) => hasEndpoint(object),
} as const;
type Step = keyof typeof steps;
const seenAtMs = new Map<Step, number>();

await using server = await spawnServer();
const connection = { ...server, version: "", startedAt: "", server: server.url };
await pushImage(connection, { reference: `${NAME}:v1`, module });
const { client } = server;
const watching = new AbortController();

function replicasOf(object: KubeObject): number | undefined {
  return (object as Deployment).spec?.replicas;
}

function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: is }) => type === "Ready" && is === "True",
  );
}

function hasEndpoint(object: KubeObject): boolean {
  const { endpoints } = object as { endpoints?: { conditions?: { ready?: boolean } }[] | null };
  return (endpoints ?? []).some(({ conditions }) => conditions?.ready === true);
}

function follow<T extends KubeObject>(resource: ApiResource<T>, names: readonly Step[]): void {
  const look = async (): Promise<void> => {
    for await (const event of client.resource(resource, "default").watch(watching)) {
      if (event.type !== "ADDED" && event.type !== "MODIFIED") continue;
      if (!(event.object.metadata.name ?? "").startsWith(NAME)) continue;
      for (const step of names) {
        if (!seenAtMs.has(step) && steps[step](event.object)) seenAtMs.set(step, performance.now());
      }
    }
  };
  void look().catch((error: unknown) => {
    if (!watching.signal.aborted) throw error;
  });
}

async function deploy(): Promise<void> {
  const manifest = readFileSync(join(folder, `${NAME}.yaml`), "utf8");
  for (const document of parseAllDocuments(manifest)) {
    const object = document.toJS() as KubeObject & { spec: { replicas?: number } };
    if (object.kind === "Deployment") {
      object.spec.replicas = 1;
      object.metadata.annotations = { "kubun.dev/scale-to-zero": "1h" };
      await client.resource(DEPLOYMENTS, "default").create(object as Deployment);
    } else {
      const resource = object.kind === "Service" ? SERVICES : INGRESSES;
      await client.resource<KubeObject>(resource, "default").create(object);
    }
  }
}

async function ask(): Promise<void> {
  const answer = await fetch(`${server.ingress}/`, {
    headers: { host: `${NAME}.example` },
    keepalive: false,
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${text}`);
}

async function sleepAgain(): Promise<void> {
  const patch = { spec: { replicas: 0 } };
  await client.resource(DEPLOYMENTS, "default").patch(NAME, patch, { type: "merge" });
  const options = { labelSelector: `app=${NAME}` };
  const gone = async () =>
    (await client.resource(PODS, "default").list(options)).items.length === 0;
  await eventually(gone, { deadlineMs: 30_000 });
  await Bun.sleep(REST_MS);
}

async function measureWakes(count: number): Promise<void> {
  const total: number[] = [];
  const reached = new Map<Step, number[]>(Object.keys(steps).map((step) => [step as Step, []]));
  for (let index = 0; index < count; index++) {
    await sleepAgain();
    seenAtMs.clear();
    const beganMs = performance.now();
    await ask();
    total.push(performance.now() - beganMs);
    await Bun.sleep(50);
    for (const [step, atMs] of seenAtMs) reached.get(step)?.push(atMs - beganMs);
  }
  const ranks = (list: readonly number[]) =>
    [50, 90, 99].map((rank) => percentile(list, rank).toFixed(1));
  printTable(
    ["wake from zero, ms after the request (as seen on watches)", "p50", "p90", "p99"],
    [
      ...[...reached].map(([step, list]) => [step, ...ranks(list)]),
      [`answer (${count} wakes)`, ...ranks(total)],
    ],
  );
}

function plainPod(name: string): Pod {
  const ports = [{ containerPort: 8080 }];
  const containers = [{ name: "web", image: `${NAME}:v1`, ports }];
  return {
    metadata: { name },
    spec: { runtimeClassName: "wasi", containers, terminationGracePeriodSeconds: 0 },
  };
}

async function measurePods(count: number): Promise<void> {
  const elapsed: number[] = [];
  const pods = client.resource(PODS, "default");
  for (let index = 0; index < count; index++) {
    const name = `${NAME}-${index}`;
    seenAtMs.clear();
    await pods.create(plainPod(name));
    await eventually(() => seenAtMs.has("pod running"), { deadlineMs: 30_000 });
    elapsed.push((seenAtMs.get("pod running") ?? 0) - (seenAtMs.get("pod bound") ?? 0));
    await pods.delete(name, { gracePeriodSeconds: 0 });
    await Bun.sleep(REST_MS);
  }
  printTable(
    ["pod with a warm worker, bind to Running, ms", "p50", "p90", "p99"],
    [[`${count} pods`, ...[50, 90, 99].map((rank) => percentile(elapsed, rank).toFixed(1))]],
  );
}

follow(DEPLOYMENTS, ["Deployment scaled"]);
follow(REPLICA_SETS, ["ReplicaSet scaled"]);
follow(PODS, ["pod created", "pod bound", "pod running", "pod ready"]);
follow(ENDPOINT_SLICES, ["endpoint ready"]);
await deploy();
await eventually(() => seenAtMs.has("endpoint ready"), { deadlineMs: 60_000 });
// What a first start makes in the background is made once a version; it is not part of a wake.
await Bun.sleep(5_000);
await measureWakes(Number(values.wakes));
const patch = { spec: { replicas: 0 } };
await client.resource(DEPLOYMENTS, "default").patch(NAME, patch, { type: "merge" });
await measurePods(Number(values.pods));
watching.abort();
