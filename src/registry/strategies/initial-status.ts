import type { ResourceDefinition } from "../../api/index.ts";
import { groupResourceText } from "../../apimachinery/index.ts";

/** The status of an object nobody has looked at yet, where it is not simply empty. */
const INITIAL: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "ingresses.networking.k8s.io": { loadBalancer: {} },
  persistentvolumes: { phase: "Pending" },
  persistentvolumeclaims: { phase: "Pending" },
  replicationcontrollers: { replicas: 0 },
  "replicasets.apps": { replicas: 0 },
  "statefulsets.apps": { replicas: 0, availableReplicas: 0 },
  "daemonsets.apps": {
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    desiredNumberScheduled: 0,
    numberReady: 0,
  },
  "poddisruptionbudgets.policy": {
    disruptionsAllowed: 0,
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods: 0,
  },
  "horizontalpodautoscalers.autoscaling": { desiredReplicas: 0, currentMetrics: null },
};

/** Undefined for kinds whose creator writes the status: a node registers with one. */
export function initialStatus(definition: ResourceDefinition): Record<string, unknown> | undefined {
  const name = groupResourceText(definition);
  if (name === "nodes" || definition.custom !== undefined) return undefined;
  return { ...INITIAL[name] };
}
