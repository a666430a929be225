import { expect, test } from "bun:test";
import { defaulted } from "../../testing/kind-fixture.ts";
import type { Pod } from "./types.ts";

const container = (name: string, cpu: string, more: Record<string, unknown> = {}) => ({
  name,
  image: name,
  resources: { requests: { cpu } },
  ...more,
});

function requests(spec: Record<string, unknown>): Record<string, string> | undefined {
  return defaulted<Pod>("v1 Pod", { spec }).spec?.resources?.requests;
}

test("defaultPodLevelRequests: a pod requests what its containers do, else its limit", () => {
  const containers = [container("a", "100m"), container("b", "1")];
  const resources = { limits: { cpu: "2", memory: "1Gi" } };
  expect(requests({ containers, resources })).toEqual({ cpu: "1100m", memory: "1Gi" });
  expect(requests({ containers })).toBeUndefined();
});

test("defaultPodLevelRequests: sidecars stay, other init containers end", () => {
  const containers = [container("a", "100m")];
  const initContainers = [
    container("side", "50m", { restartPolicy: "Always" }),
    container("init", "300m"),
  ];
  expect(requests({ containers, initContainers, resources: {} })).toEqual({ cpu: "350m" });
});

test("defaultPodLevelRequests: what is given stays", () => {
  const resources = { requests: { cpu: "5" } };
  expect(requests({ containers: [container("a", "1")], resources })).toEqual({ cpu: "5" });
});
