import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { workersOf } from "../bench/worker-processes.ts";
import { type Kubectl, kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const MODULES = {
  "hello-http:v1": join(root, "workloads", "hello-http", "hello-http.wasm"),
  "hostile:v1": join(root, "src", "runtime", "wasi", "host", "testdata", "hostile.wasm"),
};
const TEST_TIMEOUT_MS = 60_000;
const REPLICAS = 6;

const ANNOTATIONS = { "kubun.dev/share-worker": "true", "kubun.dev/request-timeout": "1s" };
const DENSE = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "dense" },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: { app: "dense" } },
    template: {
      metadata: { labels: { app: "dense" }, annotations: ANNOTATIONS },
      spec: {
        terminationGracePeriodSeconds: 2,
        containers: [
          {
            name: "web",
            image: "hello-http:v1",
            ports: [{ containerPort: 8080 }],
            readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
            resources: { limits: { memory: "16Mi" } },
          },
        ],
      },
    },
  },
};
const CULPRIT = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "culprit", annotations: ANNOTATIONS },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "main", image: "hostile:v1", ports: [{ containerPort: 8080 }] }],
  },
};

describe("pods that share a worker", () => {
  let server: SpawnedServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    server = await spawnServer();
    kubectl = kubectlWith(server.kubeconfig);
    const connection = { ...server, version: "", startedAt: "", server: server.url };
    for (const [reference, path] of Object.entries(MODULES)) {
      await pushImage(connection, { reference, module: new Uint8Array(readFileSync(path)) });
    }
    await kubectl.feed(JSON.stringify(DENSE), "apply", "-f", "-");
    await kubectl.ok("rollout", "status", "deployment/dense", "--timeout=30s");
  }, TEST_TIMEOUT_MS);

  afterAll(() => server[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

  /** Those that live: an ended container is remembered with the process that it had. */
  function workers(): number[] {
    return workersOf(server.dataDir).filter((pid) => existsSync(`/proc/${pid}`));
  }

  async function pods(): Promise<Pod[]> {
    const list = JSON.parse(await kubectl.ok("get", "pods", "-l", "app=dense", "-o", "json"));
    return (list as { items: Pod[] }).items;
  }

  /** Waits until so many pods have been started a second time. */
  async function restarted(count: number): Promise<void> {
    await eventually(
      async () => {
        const { items } = await server.client.resource(PODS, "default").list();
        const all = items.flatMap(({ status }) => status?.containerStatuses ?? []);
        return all.filter(({ restartCount }) => restartCount === 1).length === count;
      },
      { deadlineMs: 20_000, what: `${count} pods have started again` },
    );
  }

  function ask(ip: string | undefined, path: string): Promise<Response> {
    return fetch(`http://${ip}:8080${path}`, { keepalive: false });
  }

  test(
    "pods that share a worker are one process, and come and go one by one",
    async () => {
      expect(workers()).toHaveLength(1);
      const before = await pods();
      expect(new Set(before.map(({ status }) => status?.podIP)).size).toBe(REPLICAS);
      for (const { status } of before) {
        expect((await ask(status?.podIP, "/healthz")).status).toBe(200);
      }
      const [first] = before;
      const name = first?.metadata.name ?? "";
      expect(await kubectl.ok("logs", name)).not.toBe("");
      await ask(first?.status?.podIP, "/exit?code=3");
      await restarted(1);
      await kubectl.ok("delete", "pod", name);
      await kubectl.ok("rollout", "status", "deployment/dense", "--timeout=30s");
      const after = await pods();
      const restarts = after.map(({ status }) => status?.containerStatuses?.[0]?.restartCount);
      expect(restarts).toEqual(Array.from({ length: REPLICAS }, () => 0));
      expect(workers()).toHaveLength(1);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "pods that share a worker start again when one of them blocks it, and say which",
    async () => {
      await kubectl.feed(JSON.stringify(CULPRIT), "apply", "-f", "-");
      await kubectl.ok("wait", "pod", "culprit", "--for=condition=Ready", "--timeout=20s");
      expect(workers()).toHaveLength(1);
      const address = await kubectl.ok("get", "pod", "culprit", "-o", "jsonpath={.status.podIP}");
      ask(address, "/loop").catch(() => undefined);
      const names = [...(await pods()).map(({ metadata }) => metadata.name ?? ""), "culprit"];
      await restarted(names.length);
      await kubectl.ok("wait", "pod", ...names, "--for=condition=Ready", "--timeout=20s");
      const messages = await kubectl.ok("get", "pods", "-l", "app=dense", "-o", "jsonpath=" + ENDS);
      expect(
        messages.match(/137 .*ended for default\/culprit\/main, which shares it/g),
      ).toHaveLength(REPLICAS);
      const own = await kubectl.ok("get", "pod", "culprit", "-o", "jsonpath=" + END);
      expect(own).toContain("124 Error it computed for more than 1000 ms");
      expect(workers()).toHaveLength(2);
    },
    TEST_TIMEOUT_MS,
  );
});

const TERMINATED = ".status.containerStatuses[0].lastState.terminated";
const END = `{${TERMINATED}.exitCode} {${TERMINATED}.reason} {${TERMINATED}.message}`;
const ENDS = `{range .items[*]}${END}{"\\n"}{end}`;
