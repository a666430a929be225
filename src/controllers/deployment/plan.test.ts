import { describe, expect, test } from "bun:test";
import type { Deployment, DeploymentCondition, IntOrString, ReplicaSet } from "../../api/index.ts";
import { rollingBounds } from "./bounds.ts";
import { planDeployment } from "./plan.ts";
import { sizeAnnotations } from "./revision.ts";
import { planScaling } from "./scaling.ts";
import { deploymentStatus } from "./status.ts";
import { hasSameTemplate, templateHash } from "./template-hash.ts";

const nowMs = Date.UTC(2026, 0, 1, 1);

function deployment(replicas: number, change: Partial<Deployment["spec"]> = {}): Deployment {
  return {
    metadata: { name: "web", namespace: "default", uid: "d", generation: 3 },
    spec: {
      replicas,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: { app: "web" } },
      template: template("v1"),
      ...change,
    },
  };
}

const template = (image: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image }] },
});

function replicaSet(image: string, replicas: number, max = 0, desired = 10): ReplicaSet {
  const born = `2026-01-01T00:00:0${image.slice(1)}Z`;
  return {
    metadata: {
      name: `web-${image}`,
      uid: image,
      creationTimestamp: born,
      generation: 1,
      annotations: max === 0 ? {} : sizeAnnotations(desired, max - desired),
    },
    spec: { replicas, selector: {}, template: template(image) },
    status: {
      replicas,
      availableReplicas: replicas,
      readyReplicas: replicas,
      observedGeneration: 1,
    },
  };
}

describe("rollingBounds", () => {
  test("rollingBounds: surge rounds up, unavailable down, and one of them is never nothing", () => {
    const cases: [number, IntOrString | undefined, IntOrString | undefined, number, number][] = [
      [10, "25%", "25%", 3, 2],
      [1, "25%", "25%", 1, 0],
      [3, undefined, undefined, 1, 0],
      [4, 0, 0, 0, 1],
      [4, "0%", "10%", 0, 1],
      [2, 5, 9, 5, 2],
      [0, "25%", "25%", 0, 0],
    ];
    for (const [replicas, maxSurge, maxUnavailable, surge, unavailable] of cases) {
      const rollingUpdate = {
        ...(maxSurge === undefined ? {} : { maxSurge }),
        ...(maxUnavailable === undefined ? {} : { maxUnavailable }),
      };
      const strategy = { type: "RollingUpdate", rollingUpdate };
      expect(rollingBounds(deployment(replicas, { strategy }))).toEqual({
        desired: replicas,
        maxSurge: surge,
        maxUnavailable: unavailable,
      });
    }
  });
});

describe("templateHash", () => {
  test("templateHash: does not depend on the order of fields, but on each value", () => {
    const one = { spec: { containers: [{ name: "c", image: "a" }] }, metadata: {} };
    const two = { metadata: {}, spec: { containers: [{ image: "a", name: "c" }] } };
    expect(templateHash(one, 0)).toBe(templateHash(two, 0));
    expect(templateHash(one, 0)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
    expect(templateHash(one, 1)).not.toBe(templateHash(one, 0));
    expect(templateHash(template("b"), 0)).not.toBe(templateHash(template("c"), 0));
  });

  test("hasSameTemplate: looks past the hash label", () => {
    const owned = replicaSet("v1", 1);
    const labels = { app: "web", "pod-template-hash": "x" };
    if (owned.spec !== undefined) {
      owned.spec.template = { ...template("v1"), metadata: { labels } };
    }
    expect(hasSameTemplate(deployment(1), owned)).toBe(true);
    expect(hasSameTemplate(deployment(1), replicaSet("v2", 1))).toBe(false);
  });
});

describe("planScaling", () => {
  const scaled = (replicas: number, sizes: Record<string, number>): Record<string, number> => {
    const wanted = deployment(replicas, { strategy: { rollingUpdate: { maxSurge: 3 } } });
    const sets = Object.entries(sizes).map(([image, size]) => replicaSet(image, size, 13));
    const current = sets.find(({ metadata }) => metadata.uid === "v1");
    const old = sets.filter((one) => one !== current);
    const resizes = planScaling(wanted, rollingBounds(wanted), current, old);
    return {
      ...sizes,
      ...Object.fromEntries(
        resizes.map(({ replicaSet: one, replicas: n }) => [one.metadata.uid, n]),
      ),
    };
  };

  test("planScaling: one active ReplicaSet takes the whole size", () => {
    expect(scaled(5, { v1: 10 })).toEqual({ v1: 5 });
    expect(scaled(5, { v0: 10, v1: 0 })).toEqual({ v0: 5, v1: 0 });
  });

  test("planScaling: an update in flight keeps its proportions and its surge", () => {
    expect(scaled(20, { v0: 8, v1: 5 })).toEqual({ v0: 14, v1: 9 });
    expect(scaled(5, { v0: 8, v1: 5 })).toEqual({ v0: 5, v1: 3 });
    expect(scaled(0, { v0: 8, v1: 5 })).toEqual({ v0: 0, v1: 0 });
  });

  test("planDeployment: while paused it scales but rolls nothing out", () => {
    const paused = deployment(4, { paused: true });
    const replicaSets = [replicaSet("v0", 2, 3, 2)];
    const actions = planDeployment({ deployment: paused, replicaSets, pods: [], nowMs });
    expect(actions.map(({ type }) => type)).toEqual(["scale", "status"]);
  });
});

describe("deploymentStatus", () => {
  const progressing = (reason: string, minutesAgo: number): DeploymentCondition => {
    const time = new Date(nowMs - minutesAgo * 60_000).toISOString();
    const status = reason === "DeploymentPaused" ? "Unknown" : "True";
    return { type: "Progressing", status, reason, lastUpdateTime: time, lastTransitionTime: time };
  };

  const next = (
    available: number,
    known: DeploymentCondition | undefined,
    change: Partial<Deployment["spec"]> = {},
  ) => {
    const counts = { replicas: 3, updatedReplicas: 3, readyReplicas: available };
    const observed: Deployment = {
      ...deployment(3, change),
      status: {
        ...counts,
        availableReplicas: available,
        ...(known === undefined ? {} : { conditions: [known] }),
      },
    };
    const current = replicaSet("v1", 3);
    current.status = { replicas: 3, readyReplicas: available, availableReplicas: available };
    const bounds = rollingBounds(observed);
    const input = { deployment: observed, bounds, current, old: [], nowMs };
    const { conditions } = deploymentStatus(input);
    const told = conditions?.find(({ type }) => type === "Progressing");
    return told === undefined ? undefined : `${told.status} ${told.reason}`;
  };

  test("deploymentStatus: tells progress as Kubernetes does", () => {
    expect(next(3, progressing("ReplicaSetUpdated", 1))).toBe("True NewReplicaSetAvailable");
    expect(next(2, progressing("ReplicaSetUpdated", 9))).toBe("True ReplicaSetUpdated");
    expect(next(2, progressing("ReplicaSetUpdated", 11))).toBe("False ProgressDeadlineExceeded");
    expect(next(2, progressing("NewReplicaSetAvailable", 11))).toBe("True NewReplicaSetAvailable");
    expect(next(2, undefined)).toBeUndefined();
    expect(next(2, progressing("ReplicaSetUpdated", 1), { paused: true })).toBe(
      "Unknown DeploymentPaused",
    );
    expect(next(2, progressing("DeploymentPaused", 60))).toBe("Unknown DeploymentResumed");
    const noDeadline = { progressDeadlineSeconds: 2_147_483_647 };
    expect(next(2, progressing("ReplicaSetUpdated", 11), noDeadline)).toBeUndefined();
  });

  test("deploymentStatus: counts over all ReplicaSets", () => {
    const observed = deployment(5);
    const current = replicaSet("v1", 2);
    const old = [replicaSet("v0", 4)];
    const bounds = rollingBounds(observed);
    const status = deploymentStatus({ deployment: observed, bounds, current, old, nowMs });
    expect(status).toMatchObject({
      observedGeneration: 3,
      replicas: 6,
      updatedReplicas: 2,
      readyReplicas: 6,
      availableReplicas: 6,
    });
    expect(status.unavailableReplicas).toBeUndefined();
  });
});
