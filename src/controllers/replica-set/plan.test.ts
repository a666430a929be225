import { describe, expect, test } from "bun:test";
import type { Pod, ReplicaSet } from "../../api/index.ts";
import { isPodTerminating } from "../pod-state.ts";
import { rankForDeletion } from "./deletion-rank.ts";
import { BURST_REPLICAS, nextAvailabilityMs, planReplicaSet, replicaSetStatus } from "./plan.ts";
import { slowStart } from "./slow-start.ts";

const nowMs = Date.UTC(2026, 0, 1, 0, 1);

function replicaSet(replicas: number, minReadySeconds = 0): ReplicaSet {
  return {
    metadata: { name: "web", uid: "r", generation: 2 },
    spec: {
      replicas,
      minReadySeconds,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web", tier: "front" } } },
    },
  };
}

interface PodChange {
  readonly node?: string;
  readonly phase?: string;
  readonly readySince?: string;
  readonly restarts?: number;
  readonly born?: string;
  readonly cost?: string;
  readonly deleted?: boolean;
  readonly labels?: Record<string, string>;
}

function pod(name: string, change: PodChange = {}): Pod {
  const { node = "n1", phase = "Running", readySince, restarts = 0, cost, deleted } = change;
  const conditions = readySince
    ? [{ type: "Ready", status: "True", lastTransitionTime: readySince }]
    : [];
  const container = { name: "c", image: "", imageID: "", ready: true, restartCount: restarts };
  return {
    metadata: {
      name,
      creationTimestamp: change.born ?? "2026-01-01T00:00:00Z",
      labels: change.labels ?? { app: "web", tier: "front" },
      ...(cost ? { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } } : {}),
      ...(deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: { containers: [], nodeName: node },
    status: { phase, conditions, containerStatuses: [container] },
  };
}

describe("planReplicaSet", () => {
  const plan = (wanted: ReplicaSet, pods: readonly Pod[]) =>
    planReplicaSet({ replicaSet: wanted, pods, siblingsOnNode: new Map() });

  test("planReplicaSet: makes what is missing, not counting what ends", () => {
    const pods = [pod("a"), pod("b", { phase: "Failed" }), pod("c", { deleted: true })];
    expect(plan(replicaSet(3), pods)).toEqual([{ type: "create", count: 2 }]);
    expect(plan(replicaSet(1), pods)).toEqual([]);
    expect(plan(replicaSet(10_000), [])).toEqual([{ type: "create", count: BURST_REPLICAS }]);
  });

  test("planReplicaSet: deletes what is too many, and nothing once it goes itself", () => {
    const pods = [pod("a", { readySince: "2026-01-01T00:00:00Z" }), pod("b")];
    const [action] = plan(replicaSet(1), pods);
    expect(action?.type === "delete" && action.pods.map(({ metadata }) => metadata.name)).toEqual([
      "b",
    ]);
    const going = replicaSet(5);
    going.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(plan(going, pods)).toEqual([]);
  });
});

describe("rankForDeletion", () => {
  test("rankForDeletion: what is missed least goes first", () => {
    const ready = { readySince: "2026-01-01T00:00:00Z" };
    const wanted = [
      pod("unscheduled", { node: "", phase: "Pending" }),
      pod("pending", { phase: "Pending" }),
      pod("not-ready"),
      pod("cheap", { ...ready, cost: "-1" }),
      pod("crowded", { ...ready, node: "n2" }),
      pod("ready-lately", { readySince: "2026-01-01T00:00:30Z" }),
      pod("restarting", { ...ready, restarts: 3 }),
      pod("young", { ...ready, born: "2026-01-01T00:00:09Z" }),
      pod("old", ready),
      pod("precious", { ...ready, cost: "10" }),
    ];
    const onNode = new Map([
      ["n1", 1],
      ["n2", 5],
    ]);
    for (const order of [wanted, wanted.toReversed()]) {
      const names = rankForDeletion(order, onNode).map(({ metadata }) => metadata.name);
      expect(names).toEqual(wanted.map(({ metadata }) => metadata.name));
    }
  });
});

describe("replicaSetStatus", () => {
  const input = (pods: readonly Pod[], wanted = replicaSet(3)) => ({
    replicaSet: wanted,
    pods,
    terminating: pods.filter(isPodTerminating).length,
    failure: undefined,
    nowMs,
  });

  test("replicaSetStatus: counts, and leaves zeros out", () => {
    expect(replicaSetStatus(input([]))).toEqual({ replicas: 0, observedGeneration: 2 });
    const pods = [
      pod("a", { readySince: "2026-01-01T00:00:00Z" }),
      pod("b", { labels: { app: "web" } }),
      pod("c", { deleted: true, readySince: "2026-01-01T00:00:00Z" }),
    ];
    expect(replicaSetStatus(input(pods))).toEqual({
      replicas: 2,
      fullyLabeledReplicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 2,
    });
  });

  test("replicaSetStatus: a pod is available minReadySeconds after it got ready", () => {
    const pods = [pod("a", { readySince: "2026-01-01T00:00:50Z" })];
    const waiting = input(pods, replicaSet(1, 30));
    expect(replicaSetStatus(waiting).availableReplicas).toBeUndefined();
    expect(nextAvailabilityMs(waiting)).toBe(20_000);
    const later = { ...waiting, nowMs: nowMs + 20_000 };
    expect(replicaSetStatus(later).availableReplicas).toBe(1);
    expect(nextAvailabilityMs(later)).toBeUndefined();
  });

  test("replicaSetStatus: a failure is told, keeps its time, and goes when it is over", () => {
    const failure = { reason: "FailedCreate", message: "quota" } as const;
    const first = replicaSetStatus({ ...input([]), failure });
    expect(first.conditions).toEqual([
      {
        type: "ReplicaFailure",
        status: "True",
        lastTransitionTime: "2026-01-01T00:01:00Z",
        ...failure,
      },
    ]);
    const known = { ...replicaSet(3), status: first };
    const again = replicaSetStatus({ ...input([], known), failure, nowMs: nowMs + 60_000 });
    expect(again.conditions).toEqual(first.conditions ?? []);
    expect(replicaSetStatus(input([], known)).conditions).toBeUndefined();
  });
});

describe("slowStart", () => {
  test("slowStart: doubles its batches and stops with the first that fails", async () => {
    let calls = 0;
    const failing = async (): Promise<void> => {
      calls++;
      if (calls > 3) throw new Error("no");
    };
    expect(String(await slowStart(100, failing))).toBe("Error: no");
    expect(calls).toBe(7);
    calls = -1000;
    expect(await slowStart(100, failing)).toBeUndefined();
    expect(calls).toBe(-900);
  });
});
