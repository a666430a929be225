import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Deployment, Node, Pod, Service } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import { bootstrap, createApiServer, tokenAuthenticator } from "../apiserver/index.ts";
import {
  createClient,
  createInformer,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  ENDPOINTS,
  EVENTS,
  isNotFound,
  NAMESPACES,
  NODES,
  PODS,
  REPLICA_SETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "../client/index.ts";
import type { Client } from "../client/index.ts";
import { SeededRandom, silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { createDisk, systemClock } from "../os/index.ts";
import { createRegistry } from "../registry/index.ts";
import { startScheduler } from "../scheduler/index.ts";
import { openStore } from "../store/index.ts";
import type { Store } from "../store/index.ts";
import { startControllers } from "./start-controllers.ts";

const TOKEN = "test-token";

interface Cluster {
  readonly client: Client;
  readonly store: Store;
  readonly directory: string;
  readonly stop: AbortController;
}

async function startCluster(): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), "kubun-controllers-"));
  const clock = systemClock;
  const random = new SeededRandom(Math.floor(performance.now() * 1000));
  const logger = silentLogger;
  const store = await openStore({ directory, disk: createDisk(), clock, random, logger });
  const nodePortRange = { from: 30_000, to: 32_767 };
  const serviceCidr = "127.43.0.0/16";
  const registry = createRegistry({ store, clock, random, logger, serviceCidr, nodePortRange });
  const user = { name: "admin", groups: ["system:masters"] };
  const app = createApiServer({
    registry,
    clock,
    random,
    logger,
    authenticator: tokenAuthenticator(new Map([[TOKEN, user]])),
    nodeConnector: () => undefined,
    version: { major: "1", minor: "36", gitVersion: "v1.36.0", gitCommit: "", platform: "test" },
  });
  await bootstrap({ registry, logger, servers: [{ address: "127.0.0.1", port: 6443 }] });
  const client = createClient({
    fetch: async (request) => app.fetch(request),
    token: TOKEN,
    userAgent: "test",
    clock,
  });
  const stop = new AbortController();
  const { signal } = stop;
  startControllers({ client, clock, random, logger, signal, rootCa: "PEM" });
  startScheduler({ client, clock, random, logger, signal });
  return { client, store, directory, stop };
}

/** A node agent that runs everything at once. */
function startAgent({ client, stop }: Cluster): void {
  const pods = createInformer(client, PODS, { clock: systemClock, logger: silentLogger });
  let addresses = 0;
  const run = async (pod: Pod): Promise<void> => {
    const { namespace, name = "" } = pod.metadata;
    const resource = client.resource(PODS, namespace);
    try {
      if (pod.metadata.deletionTimestamp !== undefined) {
        await resource.delete(name, { gracePeriodSeconds: 0 });
      } else if (pod.spec?.nodeName !== undefined && pod.status?.podIP === undefined) {
        const lastTransitionTime = rfc3339(systemClock.now());
        const conditions = [{ type: "Ready", status: "True", lastTransitionTime }];
        const podIP = `127.42.0.${++addresses}`;
        const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
        await resource.patch(name, { status }, { type: "strategic", subresource: "status" });
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  pods.addHandler({ onAdd: (pod) => void run(pod), onUpdate: (_, pod) => void run(pod) });
  pods.start(stop.signal);
}

const node: Node = {
  metadata: { name: "n1", labels: { "kubernetes.io/hostname": "n1" } },
  status: {
    allocatable: { cpu: "8", memory: "8Gi", pods: "110" },
    capacity: { cpu: "8", memory: "8Gi", pods: "110" },
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
  },
};

const web: Deployment = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "c", image: "hello:1", ports: [{ containerPort: 80 }] }] },
    },
  },
};

const service: Service = {
  metadata: { name: "web", namespace: "default" },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
};

describe("startControllers with the real API server", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    startAgent(cluster);
    await cluster.client.resource(NODES).create(node);
  });

  afterAll(async () => {
    cluster.stop.abort();
    await cluster.store.close();
    await rm(cluster.directory, { recursive: true });
  });

  const settled = (version: string) =>
    eventually(async () => {
      const { status, metadata } = await cluster.client.resource(DEPLOYMENTS, "default").get("web");
      const pods = await cluster.client.resource(PODS, "default").list();
      const images = pods.items.map(({ spec }) => spec?.containers[0]?.image);
      return (
        status?.observedGeneration === metadata.generation &&
        status?.conditions?.some(({ reason }) => reason === "NewReplicaSetAvailable") &&
        images.length === 3 &&
        images.every((image) => image === version)
      );
    });

  test("startControllers: from a Deployment to endpoints, update and end", async () => {
    const { client } = cluster;
    const deployments = client.resource(DEPLOYMENTS, "default");
    await client.resource(SERVICES, "default").create(service);
    await deployments.create(web);
    await settled("hello:1");
    await eventually(async () => {
      const slices = await client
        .resource(ENDPOINT_SLICES, "default")
        .list({ labelSelector: "kubernetes.io/service-name=web" });
      const ready = slices.items.flatMap(({ endpoints }) => endpoints ?? []);
      return ready.filter(({ conditions }) => conditions?.ready).length === 3;
    });
    const endpoints = await client.resource(ENDPOINTS, "default").get("web");
    expect(endpoints.subsets?.[0]?.ports).toEqual([{ port: 80, protocol: "TCP" }]);

    const image = [{ name: "c", image: "hello:2" }];
    const patch = { spec: { template: { spec: { containers: image } } } };
    await deployments.patch("web", patch, { type: "strategic" });
    await settled("hello:2");
    const replicaSets = await client.resource(REPLICA_SETS, "default").list();
    const sizes = replicaSets.items.map(({ spec }) => spec?.replicas ?? 0);
    expect(Math.max(...sizes) + 10 * Math.min(...sizes)).toBe(3);
    await eventually(async () => {
      const events = await client.resource(EVENTS, "default").list();
      const reasons = new Set(events.items.map(({ reason }) => reason));
      return ["ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"].every(
        (reason) => reasons.has(reason),
      );
    });

    await deployments.delete("web");
    await eventually(async () => {
      const pods = await client.resource(PODS, "default").list();
      const left = await client.resource(REPLICA_SETS, "default").list();
      return pods.items.length + left.items.length === 0;
    });
  });

  test("startControllers: a namespace comes complete and goes empty", async () => {
    const { client } = cluster;
    await client.resource(NAMESPACES).create({ metadata: { name: "team" } });
    await eventually(() => client.resource(SERVICE_ACCOUNTS, "team").get("default"));
    await client
      .resource(DEPLOYMENTS, "team")
      .create({ ...web, metadata: { name: "web", namespace: "team" } });
    await eventually(async () => {
      return (await client.resource(PODS, "team").list()).items.length === 3;
    });
    await client.resource(NAMESPACES).delete("team");
    await eventually(async () => {
      const gone = await client
        .resource(NAMESPACES)
        .get("team")
        .catch((error: unknown) => isNotFound(error));
      return gone === true;
    });
  });
});
