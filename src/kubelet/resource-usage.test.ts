import { expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import type { ContainerRuntime } from "../runtime/index.ts";
import { resourceMetrics } from "./resource-metrics.ts";
import { ResourceUsage, SAMPLE_INTERVAL_MS } from "./resource-usage.ts";
import { statsSummary } from "./stats-api.ts";

test("ResourceUsage: tells processor time as a rate, from the very start on", async () => {
  const clock = new ManualClock();
  const startedAt = clock.now();
  let cpuNanoseconds = 0;
  const runtime = {
    listContainers: async () => [
      { id: "a", podUid: "u1", name: "web", state: "running", startedAt },
      { id: "b", podUid: "u1", name: "gone", state: "running", startedAt },
      { id: "c", podUid: "u1", name: "old", state: "exited", startedAt },
    ],
    containerStats: async (id: string) => {
      if (id === "b") throw new Error("it ended");
      return { memoryBytes: 5_000_000, cpuNanoseconds };
    },
  } as unknown as ContainerRuntime;
  const readMachine = () => ({ cpuNanoseconds: cpuNanoseconds * 2, memoryBytes: 7 });
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (_: string, fields: unknown) => warnings.push(fields) };
  const usage = new ResourceUsage({ runtime, clock, logger, readMachine });
  const stop = new AbortController();
  const running = usage.run(stop.signal);
  await drainMicrotasks();
  for (let look = 0; look < 6; look++) {
    cpuNanoseconds += 2.5e9;
    clock.advance(SAMPLE_INTERVAL_MS);
    await drainMicrotasks();
  }
  const report = await usage.report();
  expect(report.containers.map(({ name }) => name)).toEqual(["web"]);
  expect(warnings).toEqual([{ podUid: "u1", container: "gone", error: "Error: it ended" }]);
  expect(report.containers[0]).toMatchObject({
    podUid: "u1",
    cpuNanoCores: 250_000_000,
    windowMs: 3 * SAMPLE_INTERVAL_MS,
    memoryBytes: 5_000_000,
  });
  expect(report.machine).toMatchObject({ cpuNanoCores: 500_000_000, memoryBytes: 7 });
  const pods = [{ metadata: { name: "p", namespace: "d", uid: "u1" } }];
  expect(statsSummary("pi", pods, report)).toMatchObject({
    node: { nodeName: "pi", cpu: { usageNanoCores: 500_000_000 } },
    pods: [
      {
        podRef: { name: "p", namespace: "d", uid: "u1" },
        containers: [{ name: "web", memory: { workingSetBytes: 5_000_000 } }],
      },
    ],
  });
  expect(resourceMetrics("pi", pods, report)).toContain(
    'container_cpu_usage_seconds_total{container="web",namespace="d",pod="p"} 15\n',
  );
  stop.abort();
  await running;
});
