import type { Pod, ResourceRequirements } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";

const COUNTED = ["cpu", "memory"] as const;

/** Guaranteed: each limit is set and equals its request; BestEffort: none is; else Burstable. */
export function qosClassOf(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const resources = [...initContainers, ...containers].map((one) => one.resources ?? {});
  if (resources.every((one) => COUNTED.every((name) => amountsOf(one, name).length === 0))) {
    return "BestEffort";
  }
  const guaranteed = resources.every((one) =>
    COUNTED.every((name) => {
      const limit = one.limits?.[name];
      const request = one.requests?.[name] ?? limit;
      return (
        limit !== undefined &&
        request !== undefined &&
        parseQuantity(limit).compare(parseQuantity(request)) === 0
      );
    }),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

function amountsOf({ limits, requests }: ResourceRequirements, name: string): string[] {
  return [limits?.[name], requests?.[name]].filter(
    (amount): amount is string => amount !== undefined && parseQuantity(amount).value() !== 0,
  );
}
