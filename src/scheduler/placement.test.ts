import { describe, expect, test } from "bun:test";
import type { Node, Pod, PodDisruptionBudget, PodSpec } from "../api/index.ts";
import { SeededRandom } from "../lib/index.ts";
import { ClusterCache, podInfoOf } from "./cluster-cache.ts";
import { schedule } from "./cycle.ts";
import { planPreemption } from "./preemption.ts";

const HOST = "kubernetes.io/hostname";
const ZONE = "zone";

function node(name: string, zone: string, cpu = "2"): Node {
  return {
    metadata: { name, labels: { [HOST]: name, [ZONE]: zone } },
    status: { allocatable: { cpu, memory: "1Gi", pods: "10" } },
  };
}

function pod(name: string, labels: Record<string, string>, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { name, uid: name, namespace: "default", labels },
    spec: { containers: [], ...spec },
  };
}

const NODES = [node("a", "z1"), node("b", "z1"), node("c", "z2")];

function clusterOf(placed: readonly [Pod, string][], nodes: readonly Node[] = NODES): ClusterCache {
  const cache = new ClusterCache();
  for (const one of nodes) cache.setNode(one);
  for (const [one, nodeName] of placed) cache.setPod(one, nodeName);
  return cache;
}

function decide(wanted: Pod, placed: readonly [Pod, string][], nodes?: readonly Node[]): string {
  const view = clusterOf(placed, nodes).view();
  const decision = schedule(podInfoOf(wanted), view, new SeededRandom(1));
  return decision.type === "bind" ? decision.nodeName : decision.message;
}

const term = (app: string, topologyKey: string, more: object = {}) => ({
  topologyKey,
  labelSelector: { matchLabels: { app } },
  ...more,
});
const required = (...terms: ReturnType<typeof term>[]) => ({
  requiredDuringSchedulingIgnoredDuringExecution: terms,
});
const preferred = (...terms: ReturnType<typeof term>[]) => ({
  preferredDuringSchedulingIgnoredDuringExecution: terms.map((podAffinityTerm) => ({
    weight: 10,
    podAffinityTerm,
  })),
});

describe("podAffinity", () => {
  const db: [Pod, string] = [pod("db", { app: "db" }), "c"];

  test("podAffinity: near, apart, and as those that are there want it", () => {
    const near = { podAffinity: required(term("db", ZONE)) };
    expect(decide(pod("p", {}, { affinity: near }), [db])).toBe("c");
    const apart = { podAntiAffinity: required(term("db", ZONE)) };
    expect(["a", "b"]).toContain(decide(pod("p", {}, { affinity: apart }), [db]));
    const loner = pod("loner", { app: "db" }, { affinity: apart });
    expect(decide(pod("q", { app: "db" }), [[loner, "a"]])).toBe("c");
    expect(decide(pod("p", {}, { affinity: near }), [])).toBe(
      "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
    );
    const everywhere: [Pod, string][] = ["a", "b", "c"].map((name) => [
      pod(
        `db-${name}`,
        { app: "db" },
        { affinity: { podAntiAffinity: required(term("db", HOST)) } },
      ),
      name,
    ]);
    expect(decide(pod("p", { app: "db" }), everywhere)).toBe(
      "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
    const own = { podAntiAffinity: required(term("db", HOST)) };
    expect(decide(pod("p", {}, { affinity: own }), everywhere)).toBe(
      "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
    );
  });

  test("podAffinity: the first of a group that wants to be together does not wait", () => {
    const affinity = { podAffinity: required(term("web", HOST)) };
    expect(["a", "b", "c"]).toContain(decide(pod("p", { app: "web" }, { affinity }), []));
    expect(decide(pod("q", { app: "web" }, { affinity }), [[pod("p", { app: "web" }), "b"]])).toBe(
      "b",
    );
  });

  test("podAffinity: namespaces are its own, those named, or those with a label", () => {
    const foreign: [Pod, string] = [
      { ...db[0], metadata: { ...db[0].metadata, namespace: "data" } },
      "c",
    ];
    const cases: [object, boolean][] = [
      [{}, false],
      [{ namespaces: ["data"] }, true],
      [{ namespaceSelector: {} }, true],
      [{ namespaceSelector: { matchLabels: { team: "x" } } }, true],
      [{ namespaceSelector: { matchLabels: { team: "y" } } }, false],
    ];
    for (const [more, isFound] of cases) {
      const cache = clusterOf([foreign]);
      cache.setNamespace("data", { team: "x" });
      const affinity = { podAffinity: required(term("db", HOST, more)) };
      const wanted = podInfoOf(pod("p", {}, { affinity }));
      const decision = schedule(wanted, cache.view(), new SeededRandom(1));
      expect([more, decision.type]).toEqual([more, isFound ? "bind" : "unschedulable"]);
    }
  });

  test("podAffinity: labels in common narrow a term", () => {
    const affinity = {
      podAntiAffinity: required(term("web", HOST, { matchLabelKeys: ["hash"] })),
    };
    const one = [node("a", "z1")];
    const old: [Pod, string] = [pod("old", { app: "web", hash: "1" }), "a"];
    const next = (hash: string) => pod("new", { app: "web", hash }, { affinity });
    expect(decide(next("2"), [old], one)).toBe("a");
    expect(decide(next("1"), [old], one)).toContain("pod anti-affinity rules");
  });

  test("preferPodAffinity: draws near and pushes away without refusing", () => {
    expect(
      decide(pod("p", {}, { affinity: { podAffinity: preferred(term("db", HOST)) } }), [db]),
    ).toBe("c");
    const away = { podAntiAffinity: preferred(term("db", ZONE)) };
    expect(["a", "b"]).toContain(decide(pod("p", {}, { affinity: away }), [db]));
  });
});

describe("topologySpread", () => {
  const spread = (topologyKey: string, more: object = {}): Partial<PodSpec> => ({
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "web" } },
        ...more,
      },
    ],
  });
  const web = (name: string, on: string): [Pod, string] => [pod(name, { app: "web" }), on];

  test("topologySpread: no place gets more than maxSkew ahead of the emptiest", () => {
    expect(decide(pod("p", { app: "web" }, spread(ZONE)), [web("x", "a")])).toBe("c");
    expect(decide(pod("p", { app: "web" }, spread(HOST)), [web("x", "a"), web("y", "c")])).toBe(
      "b",
    );
    const wide = spread(HOST, { maxSkew: 2 });
    const two = [node("a", "z1"), node("d", "z3", "0")];
    const wanted = pod(
      "p",
      { app: "web" },
      { ...wide, containers: [{ name: "c", resources: { requests: { cpu: "1" } } }] },
    );
    expect(decide(wanted, [web("x", "a")], two)).toBe("a");
    expect(decide(wanted, [web("x", "a"), web("y", "a")], two)).toBe(
      "0/2 nodes are available: 1 Insufficient cpu, " +
        "1 node(s) didn't match pod topology spread constraints.",
    );
  });

  test("topologySpread: too few places count as if another one were empty", () => {
    const wanted = pod("p", { app: "web" }, spread(ZONE, { minDomains: 3 }));
    expect(decide(wanted, [web("x", "a"), web("y", "c")])).toBe(
      "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.",
    );
  });

  test("topologySpread: nodes without the label are no place", () => {
    const wanted = pod("p", { app: "web" }, spread("rack"));
    expect(decide(wanted, [])).toBe(
      "0/3 nodes are available: " +
        "3 node(s) didn't match pod topology spread constraints (missing required label).",
    );
  });

  test("topologySpread: nodes that the pod may not use count only when it says so", () => {
    const nodes = [node("a", "z1"), node("c", "z2")];
    const mine = { nodeSelector: { [ZONE]: "z1" } };
    const placed = [web("x", "a")];
    expect(decide(pod("p", { app: "web" }, { ...spread(ZONE), ...mine }), placed, nodes)).toBe("a");
    const ignoring = { ...spread(ZONE, { nodeAffinityPolicy: "Ignore" }), ...mine };
    expect(decide(pod("p", { app: "web" }, ignoring), placed, nodes)).toContain(
      "spread constraints",
    );
  });

  test("preferSpread: prefers the emptier place but takes any", () => {
    const soft = spread(ZONE, { whenUnsatisfiable: "ScheduleAnyway" });
    expect(decide(pod("p", { app: "web" }, soft), [web("x", "a")])).toBe("c");
    expect(decide(pod("p", { app: "web" }, soft), [web("x", "a")], [node("a", "z1")])).toBe("a");
  });
});

describe("hostPorts", () => {
  const taking = (name: string, port: object): Pod =>
    pod(name, {}, { containers: [{ name: "c", ports: [{ containerPort: 80, ...port }] }] });

  test("hostPorts: one pod a port, unless on other addresses or by other protocols", () => {
    const one = [node("a", "z1")];
    const placed: [Pod, string][] = [[taking("x", { hostPort: 80, hostIP: "127.0.0.2" }), "a"]];
    const refused =
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    expect(decide(taking("p", { hostPort: 80 }), placed, one)).toBe(refused);
    expect(decide(taking("p", { hostPort: 80, hostIP: "127.0.0.3" }), placed, one)).toBe("a");
    expect(decide(taking("p", { hostPort: 80, protocol: "UDP" }), placed, one)).toBe("a");
    expect(decide(taking("p", {}), placed, one)).toBe("a");
  });
});

describe("planPreemption", () => {
  const sized = (name: string, cpu: string, priority: number, app = name): Pod =>
    pod(name, { app }, { priority, containers: [{ name: "c", resources: { requests: { cpu } } }] });

  function preempt(
    wanted: Pod,
    placed: readonly [Pod, string][],
    budgets: readonly PodDisruptionBudget[] = [],
  ): string {
    const view = clusterOf(placed, [node("a", "z1", "1"), node("b", "z1", "1")]).view();
    const info = podInfoOf(wanted);
    const decision = schedule(info, view, new SeededRandom(1));
    if (decision.type === "bind") return `fits on ${decision.nodeName}`;
    const plan = planPreemption(info, decision, view, budgets);
    if (plan.type === "none") return plan.message;
    return `${plan.nodeName}: ${plan.victims.map(({ metadata }) => metadata.name).join(" ")}`;
  }

  test("planPreemption: harms the least important, and no more of them than it must", () => {
    const placed: [Pod, string][] = [
      [sized("a1", "500m", 3), "a"],
      [sized("a2", "500m", 1), "a"],
      [sized("b1", "1", 2), "b"],
    ];
    expect(preempt(sized("p", "400m", 5), placed)).toBe("a: a2");
    expect(preempt(sized("p", "800m", 5), placed)).toBe("b: b1");
    expect(preempt(sized("p", "800m", 2), placed)).toBe(
      "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.",
    );
    expect(preempt(sized("p", "2", 9), placed)).toBe(
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
    const modest = sized("p", "800m", 5);
    if (modest.spec !== undefined) modest.spec.preemptionPolicy = "Never";
    expect(preempt(modest, placed)).toBe("preemption: not eligible due to preemptionPolicy=Never.");
  });

  test("planPreemption: a disruption budget counts before importance", () => {
    const placed: [Pod, string][] = [
      [sized("a1", "1", 1, "kept"), "a"],
      [sized("b1", "1", 2), "b"],
    ];
    const budget: PodDisruptionBudget = {
      metadata: { name: "x", namespace: "default" },
      spec: { selector: { matchLabels: { app: "kept" } } },
      status: { disruptionsAllowed: 0 },
    };
    expect(preempt(sized("p", "1", 5), placed)).toBe("a: a1");
    expect(preempt(sized("p", "1", 5), placed, [budget])).toBe("b: b1");
  });

  test("planPreemption: who waits for victims to end takes no more", () => {
    const leaving = sized("a1", "1", 1);
    leaving.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    const wanted: Pod = { ...sized("p", "1", 5), status: { nominatedNodeName: "a" } };
    const placed: [Pod, string][] = [
      [leaving, "a"],
      [sized("b1", "1", 1), "b"],
    ];
    expect(preempt(wanted, placed)).toBe(
      "preemption: not eligible due to a terminating pod on the nominated node.",
    );
  });
});
