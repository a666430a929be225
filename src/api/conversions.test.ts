import { describe, expect, test } from "bun:test";
import type { KubeObject } from "../apimachinery/index.ts";
import { defaulted, definitionOf } from "./testing/kind-fixture.ts";

function stored(type: string, object: KubeObject): KubeObject {
  return definitionOf(type).toStorage?.(object) ?? object;
}

function served(type: string, object: KubeObject): KubeObject {
  return definitionOf(type).fromStorage?.(object) ?? object;
}

describe("events.k8s.io", () => {
  const type = "events.k8s.io/v1 Event";
  const event = {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "x", namespace: "default" },
    eventTime: "2026-01-01T00:00:00.000000Z",
    regarding: { kind: "Pod", name: "web", namespace: "default" },
    note: "Started",
    reportingController: "kubelet",
    deprecatedCount: 2,
  };

  test("coreEventFrom: is stored as the core group's event", () => {
    expect(definitionOf(type).storage).toEqual({ group: "", resource: "events" });
    expect(stored(type, event)).toEqual({
      apiVersion: "v1",
      kind: "Event",
      metadata: event.metadata,
      eventTime: event.eventTime,
      involvedObject: event.regarding,
      message: "Started",
      reportingComponent: "kubelet",
      count: 2,
    });
  });

  test("eventFromCore: comes back as it was", () => {
    const before = structuredClone(event);
    expect(served(type, stored(type, event))).toEqual(event);
    expect(event).toEqual(before);
  });

  test("events: field selectors find both forms alike", () => {
    const core = definitionOf("v1 Event").selectableFields(stored(type, event));
    expect(definitionOf(type).selectableFields(event)).toMatchObject({
      ...core,
      "regarding.name": "web",
      reportingController: "kubelet",
    });
    expect(core["involvedObject.name"]).toBe("web");
    expect(core.source).toBe("kubelet");
  });
});

describe("autoscaling/v1", () => {
  const type = "autoscaling/v1 HorizontalPodAutoscaler";
  const spec = {
    minReplicas: 1,
    maxReplicas: 3,
    scaleTargetRef: { kind: "Deployment", name: "web" },
  };

  test("storedFrom: the utilization becomes a metric, and comes back", () => {
    const object = defaulted(type, {
      apiVersion: "autoscaling/v1",
      kind: "HorizontalPodAutoscaler",
      spec: { ...spec, targetCPUUtilizationPercentage: 50 },
      status: { currentReplicas: 1, desiredReplicas: 2, currentCPUUtilizationPercentage: 90 },
    });
    const inStore = stored(type, object);
    const target = { type: "Utilization", averageUtilization: 50 };
    expect(inStore).toMatchObject({
      apiVersion: "autoscaling/v2",
      spec: { metrics: [{ type: "Resource", resource: { name: "cpu", target } }] },
      status: { desiredReplicas: 2, currentReplicas: 1 },
    });
    expect(served(type, inStore)).toEqual(object);
  });

  test("servedFrom: what version 1 cannot say survives in annotations", () => {
    const metrics = [
      {
        type: "Pods",
        pods: { metric: { name: "rps" }, target: { type: "AverageValue", averageValue: "10" } },
      },
    ];
    const object = defaulted("autoscaling/v2 HorizontalPodAutoscaler", {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      spec: { ...spec, metrics, behavior: { scaleDown: { stabilizationWindowSeconds: 60 } } },
    });
    const shown = served(type, object);
    expect(shown.spec).toEqual(spec);
    expect(Object.keys(shown.metadata.annotations ?? {})).toEqual([
      "autoscaling.alpha.kubernetes.io/metrics",
      "autoscaling.alpha.kubernetes.io/behavior",
    ]);
    expect(stored(type, shown)).toEqual(object);
  });

  test("servedFrom: a status whose metrics are null has none", () => {
    const object = { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", spec };
    const status = { desiredReplicas: 0, currentMetrics: null };
    const shown = served(type, { ...object, metadata: { name: "x" }, status });
    expect(shown.status).toEqual({ desiredReplicas: 0, currentReplicas: 0 });
  });

  test("storedFrom: an annotation that is no JSON is left out", () => {
    const annotations = { "autoscaling.alpha.kubernetes.io/metrics": "{" };
    const object = defaulted(type, { metadata: { name: "x", annotations }, spec });
    expect(stored(type, object).metadata.annotations).toBeUndefined();
  });
});
