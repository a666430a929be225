import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { CONFIG_MAPS, DEPLOYMENTS, PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "workloads", "hello-http", "hello-http.wasm");
const KILLS = 3;
const WRITERS = 8;
const REPLICAS = 3;
const TEST_TIMEOUT_MS = 180_000;

interface Writers {
  /** Names whose creation was acknowledged. */
  readonly acknowledged: string[];
  stop(): Promise<void>;
}

/** Creates ConfigMaps without pause, keeping the names the server said yes to. */
function startWriters(server: SpawnedServer, round: number): Writers {
  const acknowledged: string[] = [];
  const stopped = new AbortController();
  const write = async (writer: number): Promise<void> => {
    const maps = server.client.resource(CONFIG_MAPS, "default");
    for (let index = 0; !stopped.signal.aborted; index++) {
      const name = `load-${round}-${writer}-${index}`;
      try {
        await maps.create({ metadata: { name }, data: { value: "x".repeat(512) } });
        acknowledged.push(name);
      } catch {
        // The server is gone: this write was never acknowledged, and no other will be.
        return;
      }
    }
  };
  const all = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  return {
    acknowledged,
    async stop() {
      stopped.abort();
      await all;
    },
  };
}

async function readyPods(server: SpawnedServer): Promise<Pod[]> {
  const { items } = await server.client.resource(PODS, "default").list();
  return items.filter((pod) =>
    pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
  );
}

function runs(pods: readonly Pod[]): string[] {
  return pods
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .map((status) => `${status.containerID} restarts ${status.restartCount}`)
    .sort();
}

const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "survivor" },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: { app: "survivor" } },
    template: {
      metadata: { labels: { app: "survivor" } },
      spec: {
        containers: [
          {
            name: "web",
            image: "hello-http:v1",
            ports: [{ containerPort: 8080 }],
            readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

describe("a killed server", () => {
  test(
    "a killed server loses no acknowledged write and adopts the pods that kept answering",
    async () => {
      let server = await spawnServer();
      const { dataDir } = server;
      const acknowledged: string[] = [];
      try {
        const connection = { ...server, version: "", startedAt: "", server: server.url };
        const module = new Uint8Array(readFileSync(MODULE));
        await pushImage(connection, { reference: "hello-http:v1", module });
        await server.client.resource(DEPLOYMENTS, "default").create(deployment);
        const pods = await eventually(
          async () => {
            const ready = await readyPods(server);
            return ready.length === REPLICAS ? ready : undefined;
          },
          { deadlineMs: 30_000, what: "all pods are ready" },
        );
        const before = runs(pods);

        for (let round = 0; round < KILLS; round++) {
          const writers = startWriters(server, round);
          await eventually(() => writers.acknowledged.length > 100, { what: "writers write" });
          await server.end("SIGKILL");
          await writers.stop();
          acknowledged.push(...writers.acknowledged);
          for (const pod of pods) {
            const answer = await fetch(`http://${pod.status?.podIP}:8080/healthz`);
            expect(answer.status).toBe(200);
            await answer.arrayBuffer();
          }
          server = await spawnServer({ dataDir });
        }

        const { items } = await server.client.resource(CONFIG_MAPS, "default").list();
        const present = new Set(items.map((item) => item.metadata.name));
        expect(acknowledged.filter((name) => !present.has(name))).toEqual([]);
        expect(acknowledged.length).toBeGreaterThan(100 * KILLS);
        await eventually(async () => (await readyPods(server)).length === REPLICAS, {
          deadlineMs: 30_000,
          what: "the pods are ready again",
        });
        expect(runs(await readyPods(server))).toEqual(before);

        const deployments = server.client.resource(DEPLOYMENTS, "default");
        await deployments.patch("survivor", { spec: { replicas: 1 } }, { type: "merge" });
        await eventually(
          async () => (await deployments.get("survivor")).status?.readyReplicas === 1,
          { deadlineMs: 30_000, what: "the Deployment converges" },
        );
      } finally {
        await server.end("SIGKILL");
        await runCommand([KUBUN, "delete", "--data-dir", dataDir]);
      }
    },
    TEST_TIMEOUT_MS,
  );
});
