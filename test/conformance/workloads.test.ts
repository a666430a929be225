import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../src/cli/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith, realClient } from "../harness/real-kubectl.ts";
import type { Kubectl } from "../harness/real-kubectl.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const workloads = join(import.meta.dir, "..", "..", "workloads");
const TEST_TIMEOUT_MS = 120_000;

let server: SpawnedServer;
let kubectl: Kubectl;

async function push(name: string, reference: string): Promise<void> {
  const module = new Uint8Array(readFileSync(join(workloads, name, `${name}.wasm`)));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference, module });
}

async function podNames(selector: string): Promise<string[]> {
  const names = await kubectl.ok("get", "pods", "-l", selector, "-o", "name");
  return names.trim().split("\n").filter(Boolean);
}

/** Asks for a URL without pause until stopped, a few at a time. */
function startLoad(url: string, host: string): { stop(): Promise<{ ok: number; bad: string[] }> } {
  const stopped = new AbortController();
  const bad: string[] = [];
  let ok = 0;
  const ask = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        const response = await fetch(url, { headers: { host } });
        await response.arrayBuffer();
        if (response.status === 200) ok++;
        else bad.push(`${response.status}`);
      } catch (error) {
        bad.push(String(error));
      }
    }
  };
  const asking = Promise.all([ask(), ask(), ask(), ask()]);
  return {
    async stop() {
      stopped.abort();
      await asking;
      return { ok, bad };
    },
  };
}

beforeAll(async () => {
  server = await spawnServer();
  kubectl = kubectlWith(server.kubeconfig);
}, TEST_TIMEOUT_MS);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

for (const name of ["hello-http", "hello-wagi"]) {
  const manifest = join(workloads, name, `${name}.yaml`);
  const selector = `app=${name}`;

  describe(`kubectl with ${name}`, () => {
    test(
      "kubectl apply -f brings the workload up and Ingress answers",
      async () => {
        await push(name, `${name}:v1`);
        await push(name, `${name}:v2`);
        const applied = await kubectl.ok("apply", "-f", manifest);
        expect(applied).toContain(`deployment.apps/${name} created`);
        expect(await kubectl.ok("apply", "-f", manifest)).toContain(
          `deployment.apps/${name} unchanged`,
        );
        await kubectl.ok("rollout", "status", `deployment/${name}`, "--timeout=30s");
        const host = await kubectl.ok(
          "get",
          "ingress",
          name,
          "-o",
          "jsonpath={.spec.rules[0].host}",
        );
        const path = await kubectl.ok(
          "get",
          "ingress",
          name,
          "-o",
          "jsonpath={.spec.rules[0].http.paths[0].path}",
        );
        const url = `${server.ingress}${path}`;
        const answer = await eventually(
          async () => {
            const response = await fetch(url, host === "" ? {} : { headers: { host } });
            return response.status === 200 ? response.text() : undefined;
          },
          { what: `${url} answers` },
        );
        expect(answer).toContain("Hello");
      },
      TEST_TIMEOUT_MS,
    );

    test("kubectl get prints every output form", async () => {
      const target = ["get", "deployment", name];
      expect(await kubectl.ok(...target)).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE/);
      expect(await kubectl.ok(...target, "-o", "wide")).toContain(`${name}:v1`);
      expect(await kubectl.ok(...target, "-o", "name")).toBe(`deployment.apps/${name}\n`);
      expect(await kubectl.ok(...target, "-o", "yaml")).toContain("kind: Deployment");
      expect(JSON.parse(await kubectl.ok(...target, "-o", "json"))).toMatchObject({
        kind: "Deployment",
        metadata: { name },
      });
      const path = "jsonpath={.spec.template.spec.containers[0].image}";
      expect(await kubectl.ok(...target, "-o", path)).toBe(`${name}:v1`);
      const columns = "custom-columns=N:.metadata.name,R:.spec.replicas";
      expect(await kubectl.ok(...target, "-o", columns)).toMatch(new RegExp(`${name} +\\d`));
      const template = "go-template={{.metadata.name}}";
      expect(await kubectl.ok(...target, "-o", template)).toBe(name);
      expect(await kubectl.ok("get", "all", "-l", selector)).toContain("replicaset.apps/");
      expect(await kubectl.ok("get", "pods", "-A", "--show-labels")).toContain(selector);
    });

    test("kubectl describe tells of the pod and its events", async () => {
      const [pod = ""] = await podNames(selector);
      const text = await kubectl.ok("describe", pod);
      expect(text).toMatch(/Status: +Running/);
      expect(text).toContain("Scheduled");
      expect(text).toContain("Started");
      expect(await kubectl.ok("describe", "deployment", name)).toContain("ScalingReplicaSet");
      expect(await kubectl.ok("describe", "service", name)).toMatch(/Endpoints: +127\./);
      expect(await kubectl.ok("describe", "ingress", name)).toContain(name);
      expect(await kubectl.ok("describe", "nodes")).toContain("KubeletReady");
    });

    test("kubectl logs -f follows the log until the pod ends", async () => {
      const [pod = ""] = await podNames(selector);
      const ip = await kubectl.ok("get", pod, "-o", "jsonpath={.status.podIP}");
      await (await fetch(`http://${ip}:8080/`, { keepalive: false })).arrayBuffer();
      const follower = Bun.spawn([realClient("kubectl"), "logs", "-f", pod], {
        env: { KUBECONFIG: server.kubeconfig, HOME: server.dataDir },
        stdout: "pipe",
        stderr: "pipe",
      });
      const reader = follower.stdout.getReader();
      const first = await reader.read();
      expect(new TextDecoder().decode(first.value).length).toBeGreaterThan(0);
      follower.kill();
      await follower.exited;
      expect((await kubectl.ok("logs", pod, "--tail=1")).trim().split("\n").length).toBe(1);
    });

    test(
      "kubectl scale brings pods up and down, and get -w shows it",
      async () => {
        const watcher = Bun.spawn(
          [realClient("kubectl"), "get", "pods", "-l", selector, "-w", "--no-headers"],
          {
            env: { KUBECONFIG: server.kubeconfig, HOME: server.dataDir },
            stdout: "pipe",
            stderr: "ignore",
          },
        );
        let seen = "";
        const reading = (async () => {
          for await (const chunk of watcher.stdout) seen += new TextDecoder().decode(chunk);
        })();
        await eventually(() => seen.includes("Running"), { what: "the watch begins" });
        await kubectl.ok("scale", "deployment", name, "--replicas=3");
        await kubectl.ok("rollout", "status", `deployment/${name}`, "--timeout=30s");
        expect((await podNames(selector)).length).toBe(3);
        await kubectl.ok("scale", "deployment", name, "--replicas=2");
        await eventually(async () => (await podNames(selector)).length === 2, {
          deadlineMs: 40_000,
          what: "one pod is gone",
        });
        watcher.kill();
        await reading;
        expect(seen).toContain("Pending");
        expect(seen).toContain("Running");
        expect(seen).toContain("Terminating");
      },
      TEST_TIMEOUT_MS,
    );

    test(
      "kubectl set image rolls over without a failed request",
      async () => {
        const ingress = JSON.parse(await kubectl.ok("get", "ingress", name, "-o", "json")) as {
          spec: { rules: [{ host?: string; http: { paths: [{ path: string }] } }] };
        };
        const [rule] = ingress.spec.rules;
        const url = `${server.ingress}${rule.http.paths[0].path}`;
        const load = startLoad(url, rule.host ?? new URL(url).host);
        await kubectl.ok("set", "image", `deployment/${name}`, `*=${name}:v2`);
        await kubectl.ok("rollout", "status", `deployment/${name}`, "--timeout=60s");
        await eventually(async () => (await podNames(selector)).length === 2, {
          deadlineMs: 40_000,
          what: "the old pods are gone",
        });
        const { ok, bad } = await load.stop();
        expect(bad).toEqual([]);
        expect(ok).toBeGreaterThan(50);
        const images = await kubectl.ok(
          "get",
          "pods",
          "-l",
          selector,
          "-o",
          "jsonpath={.items[*].spec.containers[0].image}",
        );
        expect(new Set(images.split(" "))).toEqual(new Set([`${name}:v2`]));
        await kubectl.ok("rollout", "undo", `deployment/${name}`);
        await kubectl.ok("rollout", "status", `deployment/${name}`, "--timeout=60s");
      },
      TEST_TIMEOUT_MS,
    );

    test(
      "kubectl delete -f removes everything of the manifest",
      async () => {
        await kubectl.ok("delete", "-f", manifest);
        await eventually(async () => (await podNames(selector)).length === 0, {
          deadlineMs: 40_000,
          what: "the pods are gone",
        });
        expect((await kubectl("get", "deployment", name)).stderr).toContain("NotFound");
        expect(await kubectl.ok("get", "replicasets", "-l", selector, "-o", "name")).toBe("");
      },
      TEST_TIMEOUT_MS,
    );
  });
}

describe("kubectl", () => {
  test(
    "kubectl create deployment and expose make a Service that answers",
    async () => {
      await push("hello-http", "hello-http:v1");
      await kubectl.ok("create", "deployment", "web", "--image=hello-http:v1", "--port=8080");
      await kubectl.ok("rollout", "status", "deployment/web", "--timeout=30s");
      await kubectl.ok("expose", "deployment", "web", "--type=NodePort", "--port=8080");
      const nodePort = await kubectl.ok(
        "get",
        "service",
        "web",
        "-o",
        "jsonpath={.spec.ports[0].nodePort}",
      );
      expect(Number(nodePort)).toBeGreaterThanOrEqual(30_000);
      await eventually(async () => (await fetch(`http://127.0.0.1:${nodePort}/`)).ok, {
        what: "the node port answers",
      });
      const clusterIp = await kubectl.ok(
        "get",
        "service",
        "web",
        "-o",
        "jsonpath={.spec.clusterIP}",
      );
      expect((await fetch(`http://${clusterIp}:8080/`)).status).toBe(200);
      await kubectl.ok("delete", "service,deployment", "web");
    },
    TEST_TIMEOUT_MS,
  );

  test("kubectl explain, api-resources and version know the cluster", async () => {
    expect(await kubectl.ok("explain", "deployment.spec.strategy")).toContain("rollingUpdate");
    expect(await kubectl.ok("explain", "pods", "--recursive")).toContain("containers");
    const resources = await kubectl.ok("api-resources");
    for (const kind of ["Pod", "Deployment", "Ingress", "EndpointSlice", "ClusterRole"]) {
      expect(resources).toContain(kind);
    }
    expect(await kubectl.ok("version")).toContain("Server Version: v1.36.0");
    expect(await kubectl.ok("cluster-info")).toContain("is running at");
  });

  test("kubectl tells why an image cannot be pulled", async () => {
    await kubectl.ok("run", "nowhere", "--image=127.0.0.1:1/nowhere:v1", "--restart=Never");
    await eventually(
      async () => {
        const pods = await kubectl.ok("get", "pod", "nowhere");
        return pods.includes("ErrImagePull") || pods.includes("ImagePullBackOff");
      },
      { what: "the pod says ErrImagePull" },
    );
    expect(await kubectl.ok("describe", "pod", "nowhere")).toContain("Failed to pull image");
    await kubectl.ok("delete", "pod", "nowhere", "--now");
  });
});
