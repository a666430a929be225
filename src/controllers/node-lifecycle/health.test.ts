import { describe, expect, test } from "bun:test";
import type { Node, Pod, Taint, Toleration } from "../../api/index.ts";
import { ManualClock } from "../../lib/index.ts";
import { planEviction } from "./eviction.ts";
import { NODE_GRACE_MS, planNode } from "./health.ts";
import { Heartbeats } from "./heartbeats.ts";

const nowMs = Date.UTC(2026, 0, 1);

function node(ready: string | undefined, spec: Node["spec"] = {}): Node {
  const conditions = ready === undefined ? [] : [{ type: "Ready", status: ready }];
  return { metadata: { name: "n" }, spec, status: { conditions } };
}

const taintKeys = (observed: Node, silentMs = 0): string[] | undefined => {
  const action = planNode({ node: observed, silentMs, nowMs }).find(
    ({ type }) => type === "taints",
  );
  if (action?.type !== "taints") return undefined;
  return action.taints.map(
    ({ key, effect }) => `${key.replace("node.kubernetes.io/", "")}:${effect}`,
  );
};

describe("planNode", () => {
  test("planNode: leaves a node that lives and is ready alone", () => {
    expect(planNode({ node: node("True"), silentMs: NODE_GRACE_MS - 1, nowMs })).toEqual([]);
  });

  test("planNode: after the grace period all that the node told is unknown", () => {
    const actions = planNode({ node: node("True"), silentMs: NODE_GRACE_MS, nowMs });
    expect(actions.map(({ type }) => type)).toEqual([
      "conditions",
      "taints",
      "tell-not-ready",
      "mark-pods-not-ready",
    ]);
    const [first] = actions;
    expect(first?.type === "conditions" && first.conditions).toMatchObject([
      {
        type: "Ready",
        status: "Unknown",
        reason: "NodeStatusUnknown",
        message: "Kubelet stopped posting node status.",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
      { type: "MemoryPressure", status: "Unknown", reason: "NodeStatusNeverUpdated" },
      { type: "DiskPressure", status: "Unknown" },
      { type: "PIDPressure", status: "Unknown" },
    ]);
  });

  test("planNode: taints follow the conditions, and those of others stay", () => {
    const theirs: Taint = { key: "team", value: "a", effect: "NoSchedule" };
    expect(taintKeys(node("False"))).toEqual(["not-ready:NoSchedule", "not-ready:NoExecute"]);
    expect(taintKeys(node("True"), NODE_GRACE_MS)).toEqual([
      "unreachable:NoSchedule",
      "unreachable:NoExecute",
    ]);
    const tainted = node("True", {
      taints: [theirs, { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }],
    });
    expect(taintKeys(tainted)).toEqual(["team:NoSchedule"]);
    expect(taintKeys(node("True", { unschedulable: true }))).toEqual(["unschedulable:NoSchedule"]);
    expect(taintKeys(node(undefined))).toBeUndefined();
  });

  test("planNode: pressure keeps new pods away", () => {
    const observed = node("True");
    observed.status?.conditions?.push({ type: "DiskPressure", status: "True" });
    expect(taintKeys(observed)).toEqual(["disk-pressure:NoSchedule"]);
  });
});

describe("planEviction", () => {
  const taint: Taint = { key: "k", effect: "NoExecute", timeAdded: "2026-01-01T00:00:00Z" };
  const decide = (tolerations: Toleration[], taints: Taint[], atMs = nowMs) => {
    const pod: Pod = { metadata: { name: "p" }, spec: { containers: [], tolerations } };
    return planEviction({ pod, taints, firstSeenMs: () => nowMs - 5000, nowMs: atMs });
  };

  test("planEviction: at once, after a while, or never, as the tolerations say", () => {
    const forSeconds = (tolerationSeconds: number): Toleration => ({
      key: "k",
      operator: "Exists",
      tolerationSeconds,
    });
    expect(decide([], [])).toEqual({ type: "keep" });
    expect(decide([], [{ key: "k", effect: "NoSchedule" }])).toEqual({ type: "keep" });
    expect(decide([], [taint])).toEqual({ type: "evict" });
    expect(decide([{ operator: "Exists" }], [taint])).toEqual({ type: "keep" });
    expect(decide([forSeconds(300)], [taint])).toEqual({ type: "wait", forMs: 300_000 });
    expect(decide([forSeconds(300)], [taint], nowMs + 300_000)).toEqual({ type: "evict" });
    expect(decide([forSeconds(300), forSeconds(10)], [taint])).toEqual({
      type: "wait",
      forMs: 10_000,
    });
    expect(decide([forSeconds(300)], [{ key: "k", effect: "NoExecute" }])).toEqual({
      type: "wait",
      forMs: 295_000,
    });
  });
});

describe("Heartbeats", () => {
  test("Heartbeats: a renewal is a sign of life, the same one again is not", () => {
    const clock = new ManualClock();
    const heartbeats = new Heartbeats(clock);
    heartbeats.lease("n", "t1");
    clock.advance(30_000);
    heartbeats.lease("n", "t1");
    expect(heartbeats.silentMs("n")).toBe(30_000);
    heartbeats.lease("n", "t2");
    expect(heartbeats.silentMs("n")).toBe(0);
    clock.advance(NODE_GRACE_MS);
    expect(heartbeats.isOverdue("n")).toBe(true);
  });

  test("Heartbeats: a grant renews those who were alive, and nobody else", () => {
    const clock = new ManualClock();
    const heartbeats = new Heartbeats(clock);
    heartbeats.lease("dead", "t1");
    clock.advance(NODE_GRACE_MS - 1);
    heartbeats.lease("alive", "t1");
    clock.advance(NODE_GRACE_MS - 1);
    heartbeats.grantAll();
    expect(heartbeats.isOverdue("dead")).toBe(true);
    expect(heartbeats.silentMs("alive")).toBe(0);
  });
});
