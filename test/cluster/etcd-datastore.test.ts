import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { etcdObstacle, spawnEtcd } from "../../src/store/testing/spawn-etcd.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { joinArgs } from "../harness/server-group.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const obstacle = etcdObstacle();
const TEST_TIMEOUT_MS = 180_000;
const SOON = { deadlineMs: 60_000 };
const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "workloads", "hello-http", "hello-http.wasm");

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: hello-http:v1
          ports: [{ containerPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
`;

interface Range {
  readonly header: { readonly revision: string };
}

/** Takes all history away from etcd, as its own tools or another user of it may. */
async function compact(endpoint: string): Promise<void> {
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${endpoint}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
  const range = (await (await post("range", { key: btoa("x") })).json()) as Range;
  const { revision } = range.header;
  expect((await post("compaction", { revision, physical: true })).status).toBe(200);
}

/** Resolves when one watch, never begun again, told of all these ConfigMaps. */
async function sawAll(server: SpawnedServer, names: readonly string[]): Promise<void> {
  const response = await server.request("/api/v1/namespaces/default/configmaps?watch=1");
  if (response.body === null) throw new Error("a watch has a body");
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (names.every((name) => text.includes(`"name":"${name}"`))) return;
  }
  throw new Error(`the watch ended after: ${text.slice(-500)}`);
}

describe.skipIf(obstacle !== undefined)("a cluster whose state is in etcd", () => {
  test(
    "a cluster whose state is in etcd: kubectl's day, two servers, compaction, etcd lost and back",
    async () => {
      await using etcd = Object.assign(await spawnEtcd(), {
        [Symbol.asyncDispose]: () => etcd.stop(),
      });
      const [endpoint = ""] = etcd.endpoints;
      const own = (name: string): string[] =>
        ["--node-name", name, "--peer-port", "0"].concat("--datastore-endpoint", endpoint);
      await using first = await spawnServer({ args: own("server-1") });
      const join = await joinArgs(first, "server");
      await using second = await spawnServer({ args: [...own("server-2"), ...join] });
      const [one, two] = [kubectlWith(first.kubeconfig), kubectlWith(second.kubeconfig)];

      for (const { dataDir } of [first, second]) {
        const push = ["image", "push", MODULE, "hello-http:v1", "--data-dir", dataDir];
        expect((await runCommand([KUBUN, ...push])).exitCode).toBe(0);
      }
      await two.feed(manifest, "apply", "-f", "-");
      await one.ok("rollout", "status", "deployment/web", "--timeout=60s");
      await two.ok("scale", "deployment/web", "--replicas=4");
      await one.ok("rollout", "status", "deployment/web", "--timeout=60s");
      expect((await two.ok("get", "pods", "-o", "name")).trim().split("\n")).toHaveLength(4);
      expect(await one.ok("logs", "deployment/web")).toContain("hello-http: ready");
      expect(await two.ok("get", "endpointslices", "-o", "name")).toContain("web-");

      // Each sees at once what was written at the other.
      await one.ok("create", "configmap", "shared", "--from-literal=from=one");
      await two.ok("patch", "configmap", "shared", "-p", '{"data":{"from":"two"}}');
      expect(await one.ok("get", "configmap", "shared", "-o", "jsonpath={.data.from}")).toBe("two");

      const watching = sawAll(second, ["after-compaction", "etcd-is-back"]);
      await compact(endpoint);
      await one.ok("create", "configmap", "after-compaction");
      await two.ok("get", "configmap", "after-compaction");
      await one.ok("scale", "deployment/web", "--replicas=1");
      await two.ok("rollout", "status", "deployment/web", "--timeout=60s");

      await etcd.kill(0);
      const refused = await two("create", "configmap", "lost", "--request-timeout=12s");
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toMatch(/etcd|unavailable|timeout|try again/i);
      expect((await one("get", "--raw", "/readyz")).exitCode).not.toBe(0);
      expect((await one("get", "--raw", "/livez")).stdout).toBe("ok");
      await etcd.restart(0);
      await eventually(() => one.ok("create", "configmap", "etcd-is-back"), SOON);
      await eventually(() => two.ok("get", "configmap", "etcd-is-back"), SOON);
      await eventually(() => two.ok("get", "--raw", "/readyz"), SOON);
      await watching;

      // Whoever of the two does the leader's work, it goes on without the other.
      await first.end("SIGKILL");
      await eventually(() => two.ok("scale", "deployment/web", "--replicas=3"), SOON);
      await eventually(
        async () => {
          const ready = "jsonpath={.status.observedGeneration} {.status.replicas}";
          const text = await two.ok("get", "deployment/web", "-o", ready);
          return text.endsWith(" 3");
        },
        { ...SOON, what: "the survivor's controllers work" },
      );
      await using again = await spawnServer({ dataDir: first.dataDir, args: own("server-1") });
      await kubectlWith(again.kubeconfig).ok("get", "configmap", "etcd-is-back");
      await two.ok("delete", "deployment/web", "--timeout=60s");
    },
    TEST_TIMEOUT_MS,
  );
});
