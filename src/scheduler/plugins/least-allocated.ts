import { MAX_SCORE } from "../plugin.ts";
import type { NodeInfo, PodInfo, ScorePlugin } from "../plugin.ts";

const RESOURCES = ["cpu", "memory"];

/** Prefers the node that keeps the largest share of cpu and memory free. */
export const leastAllocated: ScorePlugin = {
  name: "NodeResourcesFit",
  weight: 1,
  prepare: (pod) => (node) => {
    const shares = RESOURCES.map((name) => freeShare(name, pod, node));
    return (MAX_SCORE * shares.reduce((sum, share) => sum + share, 0)) / RESOURCES.length;
  },
};

function freeShare(name: string, pod: PodInfo, node: NodeInfo): number {
  const allocatable = node.allocatable.get(name) ?? 0;
  if (allocatable === 0) return 0;
  const taken = (node.scoringRequested.get(name) ?? 0) + (pod.scoringRequests.get(name) ?? 0);
  return Math.max(0, 1 - taken / allocatable);
}
