import { describe, expect, test } from "bun:test";
import type { Deployment, Node, Pod } from "../api/index.ts";
import { diagnose } from "./diagnosis.ts";

const APP = { name: "app", image: "app:v1", imageID: "", ready: false, restartCount: 1 };
const healthy = { nodes: [], pods: [], deployments: [] };

function pod(status: NonNullable<Pod["status"]>): Pod {
  return { metadata: { name: "web", namespace: "shop" }, status };
}

function node(conditions: object[], spec = {}): Node {
  return { metadata: { name: "pi" }, spec, status: { conditions } } as unknown as Node;
}

const waiting = (state: { reason: string; message?: string }): Pod =>
  pod({ containerStatuses: [{ ...APP, state: { waiting: state } }] });

describe("diagnose", () => {
  test("diagnose: a cluster in order has no problems", () => {
    const ready = node([
      { type: "Ready", status: "True" },
      { type: "DiskPressure", status: "False" },
    ]);
    const starting = waiting({ reason: "ContainerCreating" });
    expect(diagnose({ ...healthy, nodes: [ready], pods: [starting, pod({})] })).toEqual([]);
  });

  test("diagnose: a container that waits says why, and which command tells more", () => {
    const pods = [
      waiting({ reason: "CrashLoopBackOff" }),
      waiting({ reason: "ErrImagePull", message: "not found" }),
    ];
    expect(diagnose({ ...healthy, pods })).toEqual([
      {
        what: "pod shop/web: CrashLoopBackOff",
        advice: "kubectl logs web -n shop -c app --previous",
      },
      {
        what: "pod shop/web: ErrImagePull: not found",
        advice:
          "kubun image list shows what the cluster has, kubun image push FILE NAME adds to it",
      },
    ]);
  });

  test("diagnose: a pod without a node, and a Deployment whose pods are refused", () => {
    const message = "0/1 nodes are available: 1 Insufficient cpu.";
    const pending = pod({
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
    });
    const refused = {
      metadata: { name: "web", namespace: "shop" },
      status: {
        conditions: [{ type: "ReplicaFailure", status: "True", message: "exceeded quota: few" }],
      },
    } as unknown as Deployment;
    const found = diagnose({ ...healthy, pods: [pending], deployments: [refused] });
    expect(found.map(({ what }) => what)).toEqual([
      "deployment shop/web lacks pods: exceeded quota: few",
      `pod shop/web: Unschedulable: ${message}`,
    ]);
  });

  test("diagnose: nodes that are lost, under pressure, or cordoned", () => {
    const nodes = [
      node([{ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" }]),
      node([{ type: "DiskPressure", status: "True" }], { unschedulable: true }),
    ];
    expect(diagnose({ ...healthy, nodes }).map(({ what }) => what)).toEqual([
      "node pi is not ready: NodeStatusUnknown",
      "node pi has DiskPressure",
      "node pi takes no new pods",
    ]);
  });
});
