import type { Container, Pod, ResourceRequirements } from "../../api/index.ts";
import { type KubeObject, parseQuantity } from "../../apimachinery/index.ts";
import type { Strategy } from "../strategy.ts";

/** What the node agent cannot do in less. */
const MIN_GRACE_SECONDS = 1;

/** Why the scheduler does not even look at a pod. */
const GATED = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
};

/** Pods end gracefully: the node agent has the last word, by deleting with a grace period of 0. */
export const podStrategy: Strategy = {
  prepareForCreate(object) {
    const isGated = ((object as Pod).spec?.schedulingGates ?? []).length > 0;
    const conditions = isGated ? { conditions: [GATED] } : {};
    object["status"] = { phase: "Pending", qosClass: qosClass(object), ...conditions };
  },
  prepareForUpdate(next, old) {
    const qos = (old as Pod).status?.qosClass;
    const { status } = next as Pod;
    // The class follows from the spec at creation; agents that leave it out do not clear it.
    if (status !== undefined && qos !== undefined) status.qosClass = qos;
  },
  gracePeriodSeconds(object, requested) {
    const { spec, status } = object as Pod;
    const ended = status?.phase === "Succeeded" || status?.phase === "Failed";
    if ((spec?.nodeName ?? "") === "" || ended) return 0;
    const seconds = requested ?? spec?.terminationGracePeriodSeconds ?? 0;
    return seconds < 0 ? MIN_GRACE_SECONDS : seconds;
  },
};

const COMPUTE = ["cpu", "memory"] as const;

/** Guaranteed: every container limits cpu and memory to its requests. BestEffort: none does. */
export function qosClass(object: Readonly<KubeObject>): "Guaranteed" | "Burstable" | "BestEffort" {
  const { spec } = object as Pod;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const mentions = containers.some((container) => mentionsCompute(container.resources));
  if (!mentions) return "BestEffort";
  return containers.every(isGuaranteed) ? "Guaranteed" : "Burstable";
}

function mentionsCompute(resources: ResourceRequirements | undefined): boolean {
  return COMPUTE.some(
    (name) => isPositive(resources?.requests?.[name]) || isPositive(resources?.limits?.[name]),
  );
}

function isGuaranteed({ resources }: Container): boolean {
  return COMPUTE.every((name) => {
    const limit = resources?.limits?.[name];
    const request = resources?.requests?.[name] ?? limit;
    if (limit === undefined || request === undefined || !isPositive(limit)) return false;
    return parseQuantity(limit).compare(parseQuantity(request)) === 0;
  });
}

function isPositive(quantity: string | undefined): boolean {
  return quantity !== undefined && parseQuantity(quantity).compare(parseQuantity("0")) > 0;
}
