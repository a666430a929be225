import { randomInteger } from "../lib/index.ts";
import type { Random } from "../lib/index.ts";
import { MAX_SCORE } from "./plugin.ts";
import type { ClusterChange, FilterPlugin, NodeInfo, PodInfo, ScorePlugin } from "./plugin.ts";
import { leastAllocated } from "./plugins/least-allocated.ts";
import { nodeAffinity, preferAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { resourceFit } from "./plugins/resource-fit.ts";
import { preferUntainted, taintToleration } from "./plugins/taint-toleration.ts";

/** In the order in which Kubernetes asks: the first to refuse a node gives the reason. */
export const FILTERS: readonly FilterPlugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  resourceFit,
];

export const SCORERS: readonly ScorePlugin[] = [preferUntainted, preferAffinity, leastAllocated];

export type Decision =
  | { readonly type: "bind"; readonly nodeName: string }
  | {
      readonly type: "unschedulable";
      /** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
      readonly message: string;
      /** What has to change before another try makes sense. */
      readonly wakesOn: ReadonlySet<ClusterChange>;
    };

/** Chooses a node for a pod: the best of those where it may run, by lot among equals. */
export function schedule(pod: PodInfo, nodes: readonly NodeInfo[], random: Random): Decision {
  const wakesOn = new Set<ClusterChange>(["node-changed"]);
  const reasons = new Map<string, number>();
  const feasible: NodeInfo[] = [];
  for (const node of nodes) {
    const refusal = firstRefusal(pod, node);
    if (refusal === undefined) {
      feasible.push(node);
      continue;
    }
    for (const change of refusal.plugin.wakesOn) wakesOn.add(change);
    for (const why of refusal.reasons) reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const best = choose(pod, feasible, random);
  if (best !== undefined) return { type: "bind", nodeName: best.node.metadata.name ?? "" };
  return { type: "unschedulable", message: refusalMessage(nodes.length, reasons), wakesOn };
}

function firstRefusal(
  pod: PodInfo,
  node: NodeInfo,
): { readonly plugin: FilterPlugin; readonly reasons: readonly string[] } | undefined {
  for (const plugin of FILTERS) {
    const reasons = plugin.filter(pod, node);
    if (reasons.length > 0) return { plugin, reasons };
  }
  return undefined;
}

function refusalMessage(nodeCount: number, reasons: ReadonlyMap<string, number>): string {
  if (nodeCount === 0) return "no nodes available to schedule pods";
  const texts = [...reasons].map(([why, count]) => `${count} ${why}`).sort();
  return `0/${nodeCount} nodes are available: ${texts.join(", ")}.`;
}

function choose(pod: PodInfo, feasible: readonly NodeInfo[], random: Random): NodeInfo | undefined {
  if (feasible.length <= 1) return feasible[0];
  const totals = feasible.map(() => 0);
  for (const scorer of SCORERS) {
    const scores = normalized(
      scorer,
      feasible.map((node) => scorer.score(pod, node)),
    );
    for (const [index, score] of scores.entries()) {
      totals[index] = (totals[index] ?? 0) + score * scorer.weight;
    }
  }
  const top = Math.max(...totals);
  const winners = feasible.filter((_, index) => totals[index] === top);
  return winners[randomInteger(random, winners.length)];
}

function normalized(scorer: ScorePlugin, counts: readonly number[]): readonly number[] {
  if (scorer.normalize === undefined) return counts;
  const most = Math.max(...counts);
  if (most === 0) return counts.map(() => (scorer.normalize === "lower" ? MAX_SCORE : 0));
  return counts.map((count) => {
    const share = (MAX_SCORE * count) / most;
    return scorer.normalize === "lower" ? MAX_SCORE - share : share;
  });
}
