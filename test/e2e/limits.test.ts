import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { PODS } from "../../src/client/index.ts";
import { locateDataDirectory } from "../../src/cmd/data-directory.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { createProcessSpawner } from "../../src/os/index.ts";
import { workerPid } from "../harness/pod-traces.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "src", "runtime", "wasi", "host", "testdata", "hostile.wasm");
const TEST_TIMEOUT_MS = 60_000;
const DEADLINE_MS = 30_000;
const LOG_RATE = 64 * 1024;

describe("a cluster whose pods have limits", () => {
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
    const connection = { ...server, version: "", startedAt: "", server: server.url };
    const module = new Uint8Array(readFileSync(MODULE));
    await pushImage(connection, { reference: "hostile:v1", module });
    await run("loop", { args: ["loop"], resources: { limits: { cpu: "200m", memory: "32Mi" } } });
    const requests = { cpu: "1" };
    const flood = { args: ["flood"], resources: { requests } };
    await run("flood", flood, { "kubun.dev/log-rate": "64Ki" });
  }, TEST_TIMEOUT_MS);

  afterAll(() => server[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

  function run(name: string, container: Partial<Container>, annotations = {}): Promise<Pod> {
    const containers = [{ name: "main", image: "hostile:v1", ...container }];
    const spec = { containers, terminationGracePeriodSeconds: 0 };
    return server.client
      .resource(PODS, "default")
      .create({ metadata: { name, annotations }, spec });
  }

  async function running(name: string): Promise<{ pod: Pod; pid: number }> {
    const pod = await eventually(
      async () => {
        const found = await server.client.resource(PODS, "default").get(name);
        return found.status?.phase === "Running" ? found : undefined;
      },
      { deadlineMs: DEADLINE_MS, what: `${name} runs` },
    );
    const id = pod.status?.containerStatuses?.[0]?.containerID?.replace("wasi://", "") ?? "";
    return { pod, pid: workerPid(server.dataDir, id) };
  }

  /** The part of a processor that a process uses in a second and more. */
  async function shareOf(pid: number): Promise<number> {
    const spawner = createProcessSpawner();
    const identity = spawner.identify(pid);
    if (identity === undefined) throw new Error(`process ${pid} is gone`);
    const used = () => (spawner.usage(identity)?.cpuNanoseconds ?? 0) / 1e6;
    const [fromMs, fromUsedMs] = [performance.now(), used()];
    await eventually(() => performance.now() - fromMs > 1500);
    return (used() - fromUsedMs) / (performance.now() - fromMs);
  }

  test(
    "a cluster whose pods have limits gives a loop its part of a processor, and tells it",
    async () => {
      const { pod, pid } = await running("loop");
      expect(pod.status?.qosClass).toBe("Guaranteed");
      const share = await shareOf(pid);
      // A busy machine gives less than the limit.
      expect(share).toBeGreaterThan(0.005);
      expect(share).toBeLessThan(0.25);
      if (process.getuid?.() === 0) {
        const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
        expect(groups).toMatch(new RegExp(`/kubun/[0-9a-f]{12}/pod${pod.metadata.uid}/`));
      }
      const path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/loop";
      const cores = await eventually(
        async () => {
          const answer = await server.request(path);
          const { containers } = (await answer.json()) as {
            containers?: { usage: { cpu: string } }[];
          };
          const told = Number(containers?.[0]?.usage.cpu.replace(/n$/, "")) / 1e9;
          // The first look has the start in it, which no limit held back.
          return told < 0.25 ? told : undefined;
        },
        { deadlineMs: DEADLINE_MS, what: "usage is told" },
      );
      expect(cores).toBeGreaterThan(0.005);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster whose pods have limits drops what a flood says beyond its rate, and tells how much",
    async () => {
      const { pod } = await running("flood");
      const { podLogs } = locateDataDirectory(server.dataDir);
      const directory = join(podLogs, `default_flood_${pod.metadata.uid}`, "main");
      const log = join(directory, "0.log");
      const bytes = () =>
        readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
      await eventually(() => existsSync(`${log}.dropped`), { deadlineMs: DEADLINE_MS });
      const notice =
        /stderr F kubun: \d+ bytes of output were dropped: a container may log 65536 bytes a second/;
      await eventually(() => notice.test(readFileSync(log, "utf8")), { deadlineMs: DEADLINE_MS });
      const [fromMs, fromBytes] = [performance.now(), bytes()];
      await eventually(() => performance.now() - fromMs > 2000, { deadlineMs: DEADLINE_MS });
      const rate = (bytes() - fromBytes) / ((performance.now() - fromMs) / 1000);
      expect(rate).toBeLessThan(2 * LOG_RATE);
      expect(rate).toBeGreaterThan(0);
    },
    TEST_TIMEOUT_MS,
  );
});
