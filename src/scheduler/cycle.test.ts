import { describe, expect, test } from "bun:test";
import type { Node, Pod, PodSpec } from "../api/index.ts";
import { SeededRandom } from "../lib/index.ts";
import { ClusterCache, podInfoOf } from "./cluster-cache.ts";
import { schedule } from "./cycle.ts";

const random = new SeededRandom(1);

function node(name: string, change: Partial<Node> = {}): Node {
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": name } },
    status: { allocatable: { cpu: "2", memory: "1Gi", pods: "10" } },
    ...change,
  };
}

function pod(spec: Partial<PodSpec> = {}, name = "p"): Pod {
  return { metadata: { name, uid: name }, spec: { containers: [], ...spec } };
}

const requests = (list: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: "c", resources: { requests: list } }],
});

function decide(
  nodes: readonly Node[],
  wanted: Pod,
  placed: readonly [Pod, string][] = [],
): string {
  const cache = new ClusterCache();
  for (const one of nodes) cache.setNode(one);
  for (const [one, nodeName] of placed) cache.setPod(one, nodeName);
  const decision = schedule(podInfoOf(wanted), cache.view(), random);
  return decision.type === "bind" ? decision.nodeName : decision.message;
}

describe("schedule", () => {
  test("schedule: refuses in Kubernetes' words", () => {
    const taints = [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
    const cases: [string, readonly Node[], Pod][] = [
      ["no nodes available to schedule pods", [], pod()],
      [
        "0/1 nodes are available: 1 Insufficient memory.",
        [node("a")],
        pod(requests({ memory: "2Gi" })),
      ],
      [
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu.",
        [node("a")],
        pod(requests({ cpu: "2100m", "example.com/gpu": "1" })),
      ],
      [
        "0/2 nodes are available: 1 Insufficient memory, " +
          "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
        [node("a"), node("b", { spec: { taints } })],
        pod(requests({ memory: "2Gi" })),
      ],
      [
        "0/1 nodes are available: 1 node(s) were unschedulable.",
        [node("a", { spec: { unschedulable: true } })],
        pod(),
      ],
      [
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        [node("a"), node("b")],
        pod({ nodeSelector: { disk: "ssd" } }),
      ],
      [
        "0/1 nodes are available: 1 node(s) didn't match the requested node name.",
        [node("a")],
        pod({ nodeName: "z" }),
      ],
    ];
    for (const [message, nodes, wanted] of cases) expect(decide(nodes, wanted)).toBe(message);
  });

  test("schedule: a node is full at its number of pods", () => {
    const small = node("a", { status: { allocatable: { pods: "1" } } });
    expect(decide([small], pod(), [[pod({}, "q"), "a"]])).toBe(
      "0/1 nodes are available: 1 Too many pods.",
    );
  });

  test("schedule: what is assumed on a node counts", () => {
    const placed: [Pod, string][] = [[pod(requests({ cpu: "1500m" }), "q"), "a"]];
    expect(decide([node("a"), node("b")], pod(requests({ cpu: "1" })), placed)).toBe("b");
  });

  test("schedule: tolerations open tainted nodes", () => {
    const tainted = node("a", {
      spec: { taints: [{ key: "k", value: "v", effect: "NoExecute" }] },
    });
    const tolerant = (toleration: object): string =>
      decide([tainted], pod({ tolerations: [toleration] }));
    expect(tolerant({ operator: "Exists" })).toBe("a");
    expect(tolerant({ key: "k", operator: "Exists", effect: "NoExecute" })).toBe("a");
    expect(tolerant({ key: "k", value: "v" })).toBe("a");
    expect(tolerant({ key: "k", value: "w" })).toContain("untolerated taint {k: v}");
    expect(tolerant({ key: "k", value: "v", effect: "NoSchedule" })).toContain("untolerated");
  });

  test("schedule: node affinity knows all operators", () => {
    const labelled = node("a", { metadata: { name: "a", labels: { zone: "z1", size: "8" } } });
    const fits = (key: string, operator: string, values: string[]): boolean => {
      const terms = [{ matchExpressions: [{ key, operator, values }] }];
      const required = { nodeSelectorTerms: terms };
      const affinity = {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required },
      };
      return decide([labelled], pod({ affinity })) === "a";
    };
    expect(fits("zone", "In", ["z0", "z1"])).toBe(true);
    expect(fits("zone", "NotIn", ["z1"])).toBe(false);
    expect(fits("other", "NotIn", ["z1"])).toBe(true);
    expect(fits("zone", "Exists", [])).toBe(true);
    expect(fits("zone", "DoesNotExist", [])).toBe(false);
    expect(fits("size", "Gt", ["7"])).toBe(true);
    expect(fits("size", "Lt", ["7"])).toBe(false);
  });

  test("schedule: prefers the emptier node, the untainted and the wanted one", () => {
    const busy: [Pod, string][] = [[pod(requests({ cpu: "1", memory: "512Mi" }), "q"), "a"]];
    expect(decide([node("a"), node("b")], pod(), busy)).toBe("b");
    const soft = node("b", { spec: { taints: [{ key: "k", effect: "PreferNoSchedule" }] } });
    expect(decide([node("a"), soft], pod(), busy)).toBe("a");
    const preference = { matchFields: [{ key: "metadata.name", operator: "In", values: ["a"] }] };
    const preferred = [{ weight: 1, preference }];
    const affinity = {
      nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred },
    };
    expect(decide([node("a"), node("b")], pod({ affinity }), busy)).toBe("a");
  });
});

describe("podRequests", () => {
  test("podRequests: init containers overlap, side-cars and overhead add", () => {
    const cpu = (amount: string) => ({ resources: { requests: { cpu: amount } } });
    const info = podInfoOf(
      pod({
        containers: [
          { name: "a", ...cpu("100m") },
          { name: "b", ...cpu("0.2") },
        ],
        initContainers: [
          { name: "i", ...cpu("250m") },
          { name: "s", restartPolicy: "Always", ...cpu("50m") },
          { name: "j", ...cpu("400m") },
        ],
        overhead: { cpu: "10m" },
      }),
    );
    expect(info.requests.get("cpu")).toBe(460);
  });
});
