import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../src/cli/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { type Kubectl, kubectlWith } from "../harness/real-kubectl.ts";
import { type SpawnedServer, spawnServer } from "../harness/spawned-server.ts";

const MODULE = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 120_000;
const WITHIN = { deadlineMs: 60_000 };

let server: SpawnedServer;
let kubectl: Kubectl;

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  replicas: 1
  selector: { matchLabels: { app: hello } }
  template:
    metadata: { labels: { app: hello } }
    spec:
      runtimeClassName: wasi
      containers:
        - name: hello
          image: hello:v1
          ports: [{ containerPort: 8080 }]
          resources: { requests: { cpu: 100m } }
---
apiVersion: v1
kind: Service
metadata: { name: hello }
spec:
  selector: { app: hello }
  ports: [{ port: 8080 }]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: hello }
spec:
  rules:
    - http:
        paths:
          - { path: /, pathType: Prefix, backend: { service: { name: hello, port: { number: 8080 } } } }
`;

const REQUESTS_AUTOSCALER = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: hello }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: hello }
  minReplicas: 1
  maxReplicas: 5
  metrics:
    - type: Pods
      pods:
        metric: { name: requests-per-second }
        target: { type: AverageValue, averageValue: "1" }
`;

beforeAll(async () => {
  server = await spawnServer();
  kubectl = kubectlWith(server.kubeconfig);
  const module = new Uint8Array(readFileSync(MODULE));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference: "hello:v1", module });
  await kubectl.feed(MANIFEST, "apply", "-f", "-");
  await kubectl.ok("rollout", "status", "deployment/hello", "--timeout=30s");
}, TEST_TIMEOUT_MS);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

function replicas(): Promise<string> {
  return kubectl.ok("get", "deployment", "hello", "-o", "jsonpath={.spec.replicas}");
}

async function get(url: string): Promise<number> {
  const answer = await fetch(url);
  await answer.text();
  return answer.status;
}

describe("kubectl and scaling", () => {
  test(
    "kubectl top shows what nodes and pods use",
    async () => {
      const pods = await eventually(() => kubectl.ok("top", "pod"), WITHIN);
      expect(pods).toMatch(/^NAME +CPU\(cores\) +MEMORY\(bytes\) *\nhello-\S+ +\d+m +\d+Mi/);
      const nodes = await kubectl.ok("top", "node", "--no-headers");
      expect(nodes).toMatch(/^\S+ +\d+m +\d+% +\d+Mi +\d+%/);
      const containers = await kubectl.ok("top", "pod", "--containers", "-l", "app=hello", "-A");
      expect(containers).toMatch(/default +hello-\S+ +hello +\d+m +\d+Mi/);
      const raw = await kubectl.ok("get", "pods.metrics.k8s.io");
      expect(raw).toMatch(/^NAME +CPU +MEMORY +WINDOW\nhello-/);
      expect((await kubectl("top", "pod", "nobody")).stderr).toContain("not found");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a Deployment sleeps when nobody asks, and wakes for a request, a connection and a command",
    async () => {
      const url = `${server.ingress}/`;
      expect(await get(url)).toBe(200);
      await kubectl.ok("annotate", "deployment/hello", "kubun.dev/scale-to-zero=3s");
      await eventually(async () => (await replicas()) === "0", WITHIN);
      await kubectl.ok("wait", "pod", "-l", "app=hello", "--for=delete", "--timeout=30s");
      expect(await get(url)).toBe(200);
      expect(await replicas()).toBe("1");
      await eventually(async () => (await replicas()) === "0", WITHIN);
      // An upgrade while it sleeps: the next request is answered by what is new.
      await kubectl.ok("set", "env", "deployment/hello", "NEW=yes");
      const ip = await kubectl.ok("get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}");
      expect(await get(`http://${ip}:8080/`)).toBe(200);
      await eventually(async () => (await replicas()) === "0", WITHIN);
      await kubectl.ok("scale", "deployment/hello", "--replicas=2");
      await kubectl.ok("rollout", "status", "deployment/hello", "--timeout=30s");
      expect(await replicas()).toBe("2");
      // An autoscaler leaves alone what sleeps.
      const hpa = ["autoscale", "deployment", "hello", "--min=1", "--max=3", "--cpu=50%"];
      await kubectl.ok(...hpa, "--name=sleepy");
      await eventually(async () => (await replicas()) === "0", WITHIN);
      expect(await get(url)).toBe(200);
      await kubectl.ok("delete", "hpa", "sleepy");
      await kubectl.ok("annotate", "deployment/hello", "kubun.dev/scale-to-zero-");
      const path = "jsonpath={.metadata.annotations.kubun\\.dev/wakes-deployment}";
      await eventually(async () => (await kubectl.ok("get", "svc", "hello", "-o", path)) === "");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "requests under way at once ask for more replicas, up to kubun.dev/max-scale",
    async () => {
      await kubectl.ok("scale", "deployment/hello", "--replicas=1");
      await kubectl.ok("rollout", "status", "deployment/hello", "--timeout=30s");
      const wishes = ["kubun.dev/target-concurrency=2", "kubun.dev/max-scale=3"];
      const annotate = ["annotate", "deployment/hello", "--overwrite"];
      await kubectl.ok(...annotate, "kubun.dev/scale-to-zero=10m", ...wishes);
      const hostname = await kubectl.ok("get", "svc", "hello", "-o", "jsonpath={.spec.clusterIP}");
      // An open connection is under way, whatever goes through it: nine ask for five replicas.
      const open = (): Promise<Bun.Socket> =>
        Bun.connect({ hostname, port: 8080, socket: { data: () => undefined } });
      const connections = await Promise.all(Array.from({ length: 9 }, open));
      await eventually(async () => (await replicas()) === "3", WITHIN);
      const described = await kubectl.ok("describe", "deployment", "hello");
      expect(described).toContain("ScaledByConcurrency");
      expect(described).toContain("Scaled to 3: requests under way");
      for (const connection of connections) connection.end();
      await kubectl.ok(...annotate, "kubun.dev/max-scale=none");
      await eventually(async () => {
        const told = await kubectl.ok("describe", "deployment", "hello");
        return told.includes('kubun.dev/max-scale: "none" is not a positive number');
      }, WITHIN);
      const names = ["scale-to-zero-", "target-concurrency-", "max-scale-"];
      await kubectl.ok("annotate", "deployment/hello", ...names.map((name) => `kubun.dev/${name}`));
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl autoscale keeps a Deployment within its bounds and shows what it measures",
    async () => {
      await kubectl.ok("scale", "deployment/hello", "--replicas=1");
      await kubectl.ok("autoscale", "deployment", "hello", "--min=2", "--max=4", "--cpu=50%");
      await eventually(async () => (await replicas()) === "2", WITHIN);
      const described = await kubectl.ok("describe", "hpa", "hello");
      expect(described).toContain("SuccessfulRescale");
      expect(described).toContain("Current number of replicas below Spec.MinReplicas");
      await kubectl.ok("delete", "hpa", "hello");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an autoscaler follows the requests that the proxies count",
    async () => {
      await kubectl.ok("scale", "deployment/hello", "--replicas=1");
      await kubectl.ok("rollout", "status", "deployment/hello", "--timeout=30s");
      for (let count = 0; count < 100; count++) expect(await get(`${server.ingress}/`)).toBe(200);
      await kubectl.feed(REQUESTS_AUTOSCALER, "apply", "-f", "-");
      await eventually(async () => Number(await replicas()) > 1, WITHIN);
      const shown = await kubectl.ok("get", "hpa", "hello", "--no-headers");
      expect(shown).toMatch(/^hello +Deployment\/hello +[0-9.m]+\/1 +1 +5 +\d/);
      await kubectl.ok("delete", "hpa", "hello");
    },
    TEST_TIMEOUT_MS,
  );
});
