import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, ContainerStatus, Pod, PodSpec } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { CONFIG_MAPS, PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "src", "runtime", "wasi", "host", "testdata", "hostile.wasm");
const TEST_TIMEOUT_MS = 60_000;
const DEADLINE_MS = 30_000;

describe("a cluster with hostile guests", () => {
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
    const connection = { ...server, version: "", startedAt: "", server: server.url };
    const module = new Uint8Array(readFileSync(MODULE));
    await pushImage(connection, { reference: "hostile:v1", module });
  }, TEST_TIMEOUT_MS);

  afterAll(() => server[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

  async function run(name: string, container: Partial<Container>, spec: Partial<PodSpec> = {}) {
    const containers = [{ name: "main", image: "hostile:v1", ...container }];
    const pods = server.client.resource(PODS, "default");
    await pods.create({ metadata: { name }, spec: { containers, ...spec } });
  }

  /** Waits until the status of the pod's first container is as wanted. */
  function until(name: string, wanted: (status: ContainerStatus, pod: Pod) => boolean) {
    return eventually(
      async () => {
        const pod = await server.client.resource(PODS, "default").get(name);
        const status = pod.status?.containerStatuses?.[0];
        return status !== undefined && wanted(status, pod) ? { status, pod } : undefined;
      },
      { deadlineMs: DEADLINE_MS, what: `pod ${name} is as wanted` },
    );
  }

  async function ended(name: string) {
    const { status } = await until(name, ({ state }) => state?.terminated !== undefined);
    return status.state?.terminated;
  }

  /** What the guest's server answers, as long as its pod has an address. */
  async function ask(name: string, port: number, path: string): Promise<string> {
    const { pod } = await until(name, ({ state }) => state?.running !== undefined);
    return (await fetch(`http://${pod.status?.podIP}:${port}${path}`)).text();
  }

  test(
    "a cluster with hostile guests tells how each of them ended",
    async () => {
      const never = { restartPolicy: "Never" };
      const words = { terminationMessagePolicy: "FallbackToLogsOnError" };
      const limited = { resources: { limits: { memory: "16Mi" } } };
      await run("grow", { args: ["grow"], ...limited }, never);
      await run("trap", { args: ["trap"], ...words }, never);
      await run("exit", { args: ["exit", "300"] }, never);
      await run("print", { args: ["print", "no newline"], ...words }, never);
      await run("open", { args: ["descriptors", "/"] }, never);
      expect(await ended("grow")).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
      const trap = await ended("trap");
      expect(trap).toMatchObject({ exitCode: 134, reason: "Error" });
      expect(trap?.message).toMatch(/^wasm trap: .*\n {4}at /);
      expect(await ended("exit")).toMatchObject({ exitCode: 300 & 0xff, reason: "Error" });
      expect(await ended("print")).toMatchObject({ exitCode: 7, message: "no newline\n" });
      expect(await ended("open")).toMatchObject({ exitCode: 0, reason: "Completed" });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with hostile guests ends those that compute, and no others",
    async () => {
      const ports = [{ containerPort: 8080 }];
      const probe = { httpGet: { path: "/", port: 8080 }, periodSeconds: 1, failureThreshold: 2 };
      const livenessProbe = { ...probe, terminationGracePeriodSeconds: 1 };
      const brief = { terminationGracePeriodSeconds: 1 };
      await run("good", { args: ["serve"], ports, livenessProbe });
      await run("bad", { args: ["serve"], ports, livenessProbe }, brief);
      await run("busy", { args: ["loop"], ports }, brief);
      expect(await ask("good", 8080, "/")).toBe("ok");
      const cut = ask("bad", 8080, "/loop").catch(() => "cut");
      const { status } = await until("bad", ({ restartCount }) => restartCount === 1);
      expect(await cut).toBe("cut");
      expect(status.lastState?.terminated).toMatchObject({ exitCode: 137 });
      await until("busy", ({ state }) => state?.running !== undefined);
      const pods = server.client.resource(PODS, "default");
      await pods.delete("busy", {});
      await eventually(
        async () => (await pods.list()).items.every(({ metadata }) => metadata.name !== "busy"),
        { deadlineMs: DEADLINE_MS, what: "the busy pod is gone" },
      );
      const { status: good } = await until("good", ({ ready }) => ready);
      expect(good.restartCount).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with hostile guests gives a waiting pod its ConfigMap, and a running one its change",
    async () => {
      const maps = server.client.resource(CONFIG_MAPS, "default");
      const volumes = [
        { name: "config", configMap: { name: "late" } },
        { name: "shared", emptyDir: {} },
      ];
      const mounts = [
        { name: "config", mountPath: "/config" },
        { name: "shared", mountPath: "/shared" },
      ];
      const key = { name: "late", key: "value" };
      const env = [{ name: "VALUE", valueFrom: { configMapKeyRef: key } }];
      const containers = [
        {
          name: "one",
          image: "hostile:v1",
          ports: [{ containerPort: 9001 }],
          volumeMounts: mounts,
        },
        {
          name: "two",
          image: "hostile:v1",
          ports: [{ containerPort: 9002 }],
          volumeMounts: [{ name: "shared", mountPath: "/read", readOnly: true }],
        },
      ].map((container) => ({ ...container, env }));
      await run("volumes", {}, { containers, volumes });
      await until("volumes", ({ state }) => state?.waiting !== undefined);
      await maps.create({ metadata: { name: "late" }, data: { value: "first" } });
      expect(await ask("volumes", 9001, "/file/config/value")).toBe("first");
      expect(await ask("volumes", 9002, "/env/VALUE")).toBe("first");
      expect(await ask("volumes", 9001, "/write/shared/note")).toBe("written");
      expect(await ask("volumes", 9002, "/file/read/note")).toBe("x");
      expect(await ask("volumes", 9002, "/write/read/note")).toBe("Read-only file system");
      await maps.patch("late", { data: { value: "second" } }, { type: "merge" });
      await eventually(
        async () => (await ask("volumes", 9001, "/file/config/value")) === "second",
        { deadlineMs: DEADLINE_MS, what: "the change appears" },
      );
      expect(await ask("volumes", 9002, "/env/VALUE")).toBe("first");
    },
    TEST_TIMEOUT_MS,
  );
});
