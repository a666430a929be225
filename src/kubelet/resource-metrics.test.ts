import { expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { resourceMetrics } from "./resource-metrics.ts";

const used = {
  atMs: 2_000_000,
  windowMs: 1000,
  cpuNanoseconds: 15e9,
  cpuNanoCores: 0,
  memoryBytes: 5_000_000,
};

test("resourceMetrics: tells what a container uses, and how its limits held it up", () => {
  const resources = { limits: { cpu: "200m", memory: "64Mi" } };
  const containers = [{ name: "web", resources }, { name: "free" }];
  const pod: Pod = { metadata: { name: "p", namespace: "d", uid: "u1" }, spec: { containers } };
  const throttling = { periods: 10, throttledPeriods: 9, throttledNanoseconds: 7.2e8 };
  const shared = { ...used, podUid: "u1" };
  const text = resourceMetrics("pi", [pod], {
    machine: used,
    containers: [
      { ...shared, name: "web", restarts: 3, startedAtMs: 1500, throttling, logBytesDropped: 77 },
      { ...shared, name: "free", restarts: 0, logBytesDropped: 0 },
      { ...shared, podUid: "gone", name: "web", restarts: 0, logBytesDropped: 0 },
    ],
  });
  const samples = text.split("\n").filter((line) => line.includes('container="web"'));
  const labels = '{container="web",namespace="d",pod="p"}';
  expect(samples).toEqual([
    `container_cpu_usage_seconds_total${labels} 15`,
    `container_memory_working_set_bytes${labels} 5000000`,
    `container_start_time_seconds${labels} 1.5`,
    `container_cpu_cfs_periods_total${labels} 10`,
    `container_cpu_cfs_throttled_periods_total${labels} 9`,
    `container_cpu_cfs_throttled_seconds_total${labels} 0.72`,
    `container_spec_memory_limit_bytes${labels} 67108864`,
    `container_spec_cpu_quota${labels} 20000`,
    `kube_pod_container_status_restarts_total${labels} 3`,
    `kubun_container_log_dropped_bytes_total${labels} 77`,
  ]);
  expect(text).toContain('node_memory_working_set_bytes{node="pi"} 5000000\n');
  expect(text).not.toContain('container_spec_cpu_quota{container="free"');
  for (const line of text.split("\n").slice(0, -1)) {
    expect(line).toMatch(/^# (HELP|TYPE) \w+ .+$|^\w+\{[^}]+\} [\d.e+]+$/);
  }
});
