import { expect, test } from "bun:test";
import type { Pod, ResourceQuota } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { kindsCounted, planQuotaStatus } from "./plan.ts";

const pod = (name: string, cpu: string, change: Partial<Pod> = {}): Pod => ({
  metadata: { name },
  spec: {
    containers: [{ name: "c", resources: { requests: { cpu }, limits: { memory: "64Mi" } } }],
  },
  ...change,
});

test("planQuotaStatus: sums what each kind counts, and zero for what nobody uses", () => {
  const quota: ResourceQuota = {
    metadata: { name: "q" },
    spec: {
      hard: {
        "count/jobs.batch": "4",
        "count/never.example.com": "1",
        "limits.memory": "1024Mi",
        pods: "10",
        "requests.cpu": "1000m",
        secrets: "5",
        "services.loadbalancers": "1",
      },
    },
  };
  const object = (name: string): KubeObject => ({ metadata: { name } });
  const counted = [
    {
      kind: { group: "", resource: "pods" },
      objects: [
        pod("a", "250m"),
        pod("b", "1"),
        pod("done", "8", { status: { phase: "Succeeded" } }),
      ],
    },
    { kind: { group: "", resource: "secrets" }, objects: [object("s"), object("t")] },
    { kind: { group: "", resource: "services" }, objects: [object("s")] },
    { kind: { group: "batch", resource: "jobs" }, objects: [] },
  ];
  expect(kindsCounted(quota)).toEqual(
    new Set(["jobs.batch", "never.example.com", "pods", "secrets", "services"]),
  );
  const status = planQuotaStatus(quota, counted, 0);
  expect(status).toEqual({
    hard: {
      "count/jobs.batch": "4",
      "count/never.example.com": "1",
      "limits.memory": "1Gi",
      pods: "10",
      "requests.cpu": "1",
      secrets: "5",
      "services.loadbalancers": "1",
    },
    used: {
      "count/jobs.batch": "0",
      "limits.memory": "128Mi",
      pods: "2",
      "requests.cpu": "1250m",
      secrets: "2",
      "services.loadbalancers": "0",
    },
  });
  expect(planQuotaStatus({ ...quota, ...(status && { status }) }, counted, 0)).toBeUndefined();
});
