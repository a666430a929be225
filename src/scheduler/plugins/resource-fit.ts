import type { FilterPlugin } from "../plugin.ts";

/** A pod needs what it requests to be free on its node. */
export const resourceFit: FilterPlugin = {
  name: "NodeResourcesFit",
  wakesOn: ["node-changed", "pod-freed"],
  // What asks for more than the whole node has never fits, whoever leaves it.
  resolvable: ({ requests }, { allocatable }) =>
    [...requests].some(([name, amount]) => amount > (allocatable.get(name) ?? 0))
      ? "never"
      : "by-eviction",
  filter: (pod, node) => {
    const reasons: string[] = [];
    const maxPods = node.allocatable.get("pods");
    if (maxPods !== undefined && node.podCount + 1 > maxPods) reasons.push("Too many pods");
    for (const [name, amount] of pod.requests) {
      if (amount === 0) continue;
      const free = (node.allocatable.get(name) ?? 0) - (node.requested.get(name) ?? 0);
      if (amount > free) reasons.push(`Insufficient ${name}`);
    }
    return reasons;
  },
};
