import { describe, expect, test } from "bun:test";
import type { Node, Pod, Taint, Toleration } from "../../api/index.ts";
import { ManualClock } from "../../lib/index.ts";
import {
  EvictionPace,
  EVICTIONS_PER_SECOND,
  judgeDisruption,
  REDUCED_EVICTIONS_PER_SECOND,
} from "./disruption.ts";
import { planEviction } from "./eviction.ts";
import { NODE_GRACE_MS, planNode } from "./health.ts";
import type { EvictionLeave } from "./health.ts";
import { Heartbeats } from "./heartbeats.ts";

const nowMs = Date.UTC(2026, 0, 1);
const eviction = "allowed";

function node(ready: string | undefined, spec: Node["spec"] = {}): Node {
  const conditions = ready === undefined ? [] : [{ type: "Ready", status: ready }];
  return { metadata: { name: "n" }, spec, status: { conditions } };
}

const taintKeys = (
  observed: Node,
  isSilent = false,
  leave: EvictionLeave = eviction,
): string[] | undefined => {
  const action = planNode({ node: observed, isSilent, nowMs, eviction: leave }).find(
    ({ type }) => type === "taints",
  );
  if (action?.type !== "taints") return undefined;
  return action.taints.map(
    ({ key, effect }) => `${key.replace("node.kubernetes.io/", "")}:${effect}`,
  );
};

describe("planNode", () => {
  test("planNode: leaves a node that lives and is ready alone", () => {
    expect(planNode({ node: node("True"), isSilent: false, nowMs, eviction })).toEqual([]);
  });

  test("planNode: after the grace period all that the node told is unknown", () => {
    const actions = planNode({ node: node("True"), isSilent: true, nowMs, eviction });
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
    expect(taintKeys(node("True"), true)).toEqual([
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

  test("planNode: evictions are announced with leave, kept without, and taken back", () => {
    expect(taintKeys(node("Unknown"), false, "held")).toEqual(["unreachable:NoSchedule"]);
    const taints: Taint[] = (["NoSchedule", "NoExecute"] as const).map((effect) => ({
      key: "node.kubernetes.io/unreachable",
      effect,
    }));
    const given = node("Unknown", { taints });
    expect(taintKeys(given, false, "held")).toBeUndefined();
    expect(taintKeys(given, false, "lifted")).toEqual(["unreachable:NoSchedule"]);
    expect(taintKeys(node("True", { taints }), false, "held")).toEqual([]);
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
    const times = { firstSeenMs: () => nowMs - 5000, notBeforeMs: nowMs + 20_000, nowMs: atMs };
    return planEviction({ pod, taints, ...times });
  };

  test("planEviction: for a lost node nobody goes before all nodes had time to be heard", () => {
    const lost: Taint = { ...taint, key: "node.kubernetes.io/unreachable" };
    expect(decide([], [lost])).toEqual({ type: "wait", forMs: 20_000 });
    expect(decide([], [lost, taint])).toEqual({ type: "evict" });
    const short: Toleration = { operator: "Exists", tolerationSeconds: 5 };
    expect(decide([short], [lost], nowMs + 10_000)).toEqual({ type: "wait", forMs: 10_000 });
    expect(decide([short], [lost], nowMs + 20_000)).toEqual({ type: "evict" });
  });

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

describe("judgeDisruption", () => {
  const zones = (...health: readonly (readonly [zone: string, ready: number, lost: number])[]) => {
    const nodes = health.flatMap(([zone, ready, lost]) =>
      Array.from({ length: ready + lost }, (_, index): Node => {
        const labels = { "topology.kubernetes.io/zone": zone };
        return { ...node(index < ready ? "True" : "Unknown"), metadata: { name: "n", labels } };
      }),
    );
    const isReady = ({ status }: Node): boolean => status?.conditions?.[0]?.status === "True";
    const { everywhere, rates } = judgeDisruption(nodes, isReady);
    return everywhere ? "everywhere" : [...rates.values()];
  };

  test("judgeDisruption: as much as is lost, so careful is the eviction", () => {
    expect(zones(["a", 3, 0])).toEqual([EVICTIONS_PER_SECOND]);
    expect(zones(["a", 1, 2])).toEqual([EVICTIONS_PER_SECOND]);
    expect(zones(["a", 2, 3])).toEqual([0]);
    expect(zones(["a", 3, 3])).toEqual([EVICTIONS_PER_SECOND]);
    expect(zones(["a", 20, 40])).toEqual([REDUCED_EVICTIONS_PER_SECOND]);
    expect(zones(["a", 0, 1])).toBe("everywhere");
    expect(zones(["a", 0, 3], ["b", 0, 1])).toBe("everywhere");
    expect(zones(["a", 0, 3], ["b", 1, 0])).toEqual([EVICTIONS_PER_SECOND, EVICTIONS_PER_SECOND]);
    expect(zones()).toEqual([]);
  });
});

describe("EvictionPace", () => {
  test("EvictionPace: one node of a zone after another, zones beside each other", () => {
    const pace = new EvictionPace();
    expect(pace.take("a", 0.1, 0)).toBe(0);
    expect(pace.take("a", 0.1, 4000)).toBe(6000);
    expect(pace.take("b", 0.1, 4000)).toBe(0);
    expect(pace.take("a", 0.1, 10_000)).toBe(0);
    expect(pace.take("a", 0, 30_000)).toBe(Infinity);
  });
});

describe("Heartbeats", () => {
  test("Heartbeats: a renewal is a sign of life, the same one again is not", () => {
    const clock = new ManualClock();
    const heartbeats = new Heartbeats(clock, NODE_GRACE_MS);
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
    const heartbeats = new Heartbeats(clock, NODE_GRACE_MS);
    heartbeats.lease("dead", "t1");
    clock.advance(NODE_GRACE_MS - 1);
    heartbeats.lease("alive", "t1");
    clock.advance(NODE_GRACE_MS - 1);
    heartbeats.grantAll();
    expect(heartbeats.isOverdue("dead")).toBe(true);
    expect(heartbeats.silentMs("alive")).toBe(0);
  });
});
