import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { maxPodsOf, refuseAdmission } from "./admission.ts";
import { qosClassOf } from "./qos-class.ts";

type Resources = NonNullable<NonNullable<Pod["spec"]>["containers"][number]["resources"]>;

function pod(resources: Resources[], init: Resources[] = [], nodeName = "node-1"): Pod {
  const containers = (list: Resources[], prefix: string) =>
    list.map((one, index) => ({ name: `${prefix}${index}`, resources: one }));
  return {
    metadata: { name: "web" },
    spec: {
      nodeName,
      containers: containers(resources, "c"),
      initContainers: containers(init, "i"),
    },
  };
}

const NONE = { pods: 0, cpuMillis: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
const NODE = {
  name: "node-1",
  capacity: { cpuMillis: 1000, memoryBytes: 1024, ephemeralStorageBytes: 0, maxPods: 3 },
};

describe("maxPodsOf", () => {
  test("maxPodsOf: goes by memory unless the node was told", () => {
    const capacity = { cpuMillis: 1000, ephemeralStorageBytes: 0 };
    const byMemory = (gib: number): number =>
      maxPodsOf({ ...capacity, memoryBytes: gib * 1024 ** 3 });
    expect([0.5, 8, 1024].map(byMemory)).toEqual([110, 819, 4094]);
    expect(maxPodsOf({ ...capacity, memoryBytes: 0, maxPods: 7 })).toBe(7);
  });
});

describe("refuseAdmission", () => {
  test("refuseAdmission: adds up requests, init containers by their largest", () => {
    const half = { requests: { cpu: "500m" } };
    expect(refuseAdmission(pod([half, half]), NONE, NODE)).toBeUndefined();
    expect(refuseAdmission(pod([half], [{ requests: { cpu: "1" } }]), NONE, NODE)).toBeUndefined();
    const refusal = refuseAdmission(pod([half]), { ...NONE, pods: 2, cpuMillis: 1000 }, NODE);
    expect(refusal?.reason).toBe("OutOfcpu");
    expect(refusal?.message).toBe(
      "Pod was rejected: Node didn't have enough resource: cpu, " +
        "requested: 500, used: 1000, capacity: 1000",
    );
    const memory = refuseAdmission(pod([{ requests: { memory: "2Ki" } }]), NONE, NODE);
    expect(memory?.reason).toBe("OutOfmemory");
    const storage = pod([{ requests: { "ephemeral-storage": "2Ki" } }]);
    expect(refuseAdmission(storage, NONE, NODE)?.reason).toBe("OutOfephemeral-storage");
  });

  test("refuseAdmission: the number of pods and the node's name", () => {
    const none = pod([{}]);
    expect(refuseAdmission(none, { ...NONE, pods: 3 }, NODE)?.reason).toBe("OutOfpods");
    expect(refuseAdmission(pod([{}], [], "other"), NONE, NODE)?.reason).toBe("NodeName");
  });
});

describe("qosClassOf", () => {
  test("qosClassOf: from requests and limits of all containers", () => {
    const full = { limits: { cpu: "1", memory: "1Gi" } };
    expect(qosClassOf(pod([{}]))).toBe("BestEffort");
    expect(qosClassOf(pod([{ requests: { cpu: "0" } }]))).toBe("BestEffort");
    expect(qosClassOf(pod([full]))).toBe("Guaranteed");
    expect(qosClassOf(pod([{ ...full, requests: { cpu: "1000m", memory: "1024Mi" } }]))).toBe(
      "Guaranteed",
    );
    expect(qosClassOf(pod([full, {}]))).toBe("Burstable");
    expect(qosClassOf(pod([{ ...full, requests: { cpu: "1m" } }]))).toBe("Burstable");
  });
});
