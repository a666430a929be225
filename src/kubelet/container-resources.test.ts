import { describe, expect, test } from "bun:test";
import type { Container, Pod } from "../api/index.ts";
import { containerResources } from "./container-resources.ts";

function podOf(...containers: Container[]): Pod {
  return { metadata: { name: "web" }, spec: { containers } };
}

describe("containerResources", () => {
  test("containerResources reads amounts in every notation", () => {
    const resources = { limits: { cpu: "1.5" }, requests: { cpu: "250m" } };
    const app = { name: "app", resources };
    const other = { name: "other", resources: { requests: { cpu: "0.1" } } };
    expect(containerResources(podOf(app, other), app)).toEqual({
      qosClass: "Burstable",
      podCpuRequestMillis: 350,
      cpuRequestMillis: 250,
      cpuLimitMillis: 1500,
    });
  });

  test("containerResources of a container that asks for nothing has no amounts", () => {
    const app = { name: "app" };
    const expected = { qosClass: "BestEffort", podCpuRequestMillis: 0 } as const;
    expect(containerResources(podOf(app), app)).toEqual(expected);
  });

  test("containerResources takes a limit for the request where there is none", () => {
    const app = { name: "app", resources: { limits: { cpu: "200m", memory: "64Mi" } } };
    const found = containerResources(podOf(app), app);
    expect(found).toMatchObject({ qosClass: "Guaranteed", cpuRequestMillis: 200 });
  });
});
