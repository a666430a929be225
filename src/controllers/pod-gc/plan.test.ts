import { describe, expect, test } from "bun:test";
import type { Pod } from "../../api/index.ts";
import { planPodGc, QUARANTINE_MS } from "./plan.ts";

function pod(
  name: string,
  nodeName: string,
  phase = "Running",
  born = "2026-01-01T00:00:00Z",
): Pod {
  return {
    metadata: { name, creationTimestamp: born },
    spec: { containers: [], nodeName },
    status: { phase },
  };
}

const plan = (pods: readonly Pod[], maxFinishedPods = 10): string[] =>
  planPodGc({
    pods,
    missingForMs: (name) => (name === "gone" ? QUARANTINE_MS : name === "new" ? 1 : undefined),
    isOutOfService: (name) => name === "off",
    maxFinishedPods,
  }).map(({ pod: { metadata }, why }) => `${metadata.name} ${why}`);

describe("planPodGc", () => {
  test("planPodGc: pods of a node go once it has been missing for long enough", () => {
    expect(plan([pod("a", "gone"), pod("b", "new"), pod("c", "n1")])).toEqual(["a node-gone"]);
  });

  test("planPodGc: a deleted pod does not wait for a node that is not there", () => {
    const pods = [pod("a", "new"), pod("b", "n1")];
    for (const { metadata } of pods) metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(plan(pods)).toEqual(["a node-gone"]);
  });

  test("planPodGc: a deleted pod does not wait for a node that is out of service", () => {
    const pods = [pod("a", "off"), pod("b", "n1"), pod("c", "off")];
    for (const { metadata } of pods.slice(0, 2))
      metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(plan(pods)).toEqual(["a out-of-service"]);
  });

  test("planPodGc: the oldest finished pods beyond the limit go", () => {
    const pods = [
      pod("young", "n1", "Succeeded", "2026-01-03T00:00:00Z"),
      pod("old", "n1", "Failed", "2026-01-01T00:00:00Z"),
      pod("middle", "n1", "Succeeded", "2026-01-02T00:00:00Z"),
      pod("running", "n1"),
    ];
    expect(plan(pods, 3)).toEqual([]);
    expect(plan(pods, 1)).toEqual(["old finished", "middle finished"]);
  });

  test("planPodGc: a pod deleted before it had a node goes", () => {
    const doomed = pod("a", "", "Pending");
    doomed.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(plan([doomed])).toEqual(["a never-scheduled"]);
  });
});
