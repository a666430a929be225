import { randomInteger } from "../lib/index.ts";
import type { Random } from "../lib/index.ts";
import { nodeWithPods } from "./cluster-cache.ts";
import { MAX_SCORE } from "./plugin.ts";
import type {
  ClusterChange,
  ClusterView,
  FilterPlugin,
  NodeInfo,
  PodInfo,
  Refusals,
  ScorePlugin,
} from "./plugin.ts";
import { hostPorts } from "./plugins/host-ports.ts";
import { leastAllocated } from "./plugins/least-allocated.ts";
import { nodeAffinity, preferAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { podAffinity, preferPodAffinity } from "./plugins/pod-affinity.ts";
import { resourceFit } from "./plugins/resource-fit.ts";
import { preferUntainted, taintToleration } from "./plugins/taint-toleration.ts";
import { preferSpread, topologySpread } from "./plugins/topology-spread.ts";

/** In the order in which Kubernetes asks: the first to refuse a node gives the reason. */
export const FILTERS: readonly FilterPlugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  hostPorts,
  resourceFit,
  topologySpread,
  podAffinity,
];

export const SCORERS: readonly ScorePlugin[] = [
  preferUntainted,
  preferAffinity,
  leastAllocated,
  preferSpread,
  preferPodAffinity,
];

export interface Unschedulable {
  readonly type: "unschedulable";
  /** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
  readonly message: string;
  /** What has to change before another try makes sense. */
  readonly wakesOn: ReadonlySet<ClusterChange>;
  /** Nodes where the pod might run if others left. */
  readonly byEviction: readonly NodeInfo[];
  readonly nodeCount: number;
}

export type Decision = { readonly type: "bind"; readonly nodeName: string } | Unschedulable;

/** Chooses a node for a pod: the best of those where it may run, by lot among equals. */
export function schedule(pod: PodInfo, cluster: ClusterView, random: Random): Decision {
  const wakesOn = new Set<ClusterChange>(["node-changed"]);
  const reasons = new Map<string, number>();
  const feasible: NodeInfo[] = [];
  const byEviction: NodeInfo[] = [];
  const { nodes } = cluster;
  const expected = withNominated(pod, cluster);
  const ask = filterFor(pod, expected);
  for (const [index, node] of nodes.entries()) {
    const refusal = ask(expected.nodes[index] ?? node);
    if (refusal === undefined) {
      feasible.push(node);
      continue;
    }
    if (refusal.isResolvable) byEviction.push(node);
    for (const change of refusal.plugin.wakesOn) wakesOn.add(change);
    for (const why of refusal.reasons) reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const best = choose(pod, feasible, cluster, random);
  if (best !== undefined) return { type: "bind", nodeName: best.node.metadata.name ?? "" };
  const message = refusalMessage(nodes.length, reasons);
  return { type: "unschedulable", message, wakesOn, byEviction, nodeCount: nodes.length };
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
export function refusalMessage(nodeCount: number, reasons: ReadonlyMap<string, number>): string {
  if (nodeCount === 0) return "no nodes available to schedule pods";
  const texts = [...reasons].map(([why, count]) => `${count} ${why}`).sort();
  return `0/${nodeCount} nodes are available: ${texts.join(", ")}.`;
}

/** Whether a pod may run on a node of a cluster. */
export function fits(pod: PodInfo, node: NodeInfo, cluster: ClusterView): boolean {
  return filterFor(pod, cluster)(node) === undefined;
}

interface Refusal {
  readonly plugin: FilterPlugin;
  readonly reasons: Refusals;
  readonly isResolvable: boolean;
}

function filterFor(pod: PodInfo, cluster: ClusterView): (node: NodeInfo) => Refusal | undefined {
  const filters: { plugin: FilterPlugin; ask: (node: NodeInfo) => Refusals }[] = [];
  for (const plugin of FILTERS) {
    const { filter } = plugin;
    const ask =
      filter === undefined ? plugin.prepare?.(pod, cluster) : (node: NodeInfo) => filter(pod, node);
    if (ask !== undefined) filters.push({ plugin, ask });
  }
  return (node) => {
    for (const { plugin, ask } of filters) {
      const reasons = ask(node);
      if (reasons.length === 0) continue;
      const { resolvable } = plugin;
      const how = typeof resolvable === "string" ? resolvable : resolvable(pod, node, reasons);
      return { plugin, reasons, isResolvable: how === "by-eviction" };
    }
    return undefined;
  };
}

/** The cluster as if those that are to come, and matter no less than the pod, were there. */
function withNominated(pod: PodInfo, cluster: ClusterView): ClusterView {
  if (cluster.nominations.length === 0) return cluster;
  const { uid } = pod.pod.metadata;
  const before = cluster.nominations.filter(
    ({ info }) =>
      info.pod.metadata.uid !== uid &&
      (info.pod.spec?.priority ?? 0) >= (pod.pod.spec?.priority ?? 0),
  );
  if (before.length === 0) return cluster;
  const nodes = cluster.nodes.map((node) => {
    const coming = before.filter(({ nodeName: name }) => name === node.node.metadata.name);
    if (coming.length === 0) return node;
    return nodeWithPods(node, [...node.pods(), ...coming.map(({ info }) => info)]);
  });
  return { ...cluster, nodes };
}

function choose(
  pod: PodInfo,
  feasible: readonly NodeInfo[],
  cluster: ClusterView,
  random: Random,
): NodeInfo | undefined {
  if (feasible.length <= 1) return feasible[0];
  const totals = feasible.map(() => 0);
  for (const scorer of SCORERS) {
    const score = scorer.prepare(pod, cluster);
    if (score === undefined) continue;
    const scores = normalized(scorer, feasible.map(score));
    for (const [index, points] of scores.entries()) {
      totals[index] = (totals[index] ?? 0) + points * scorer.weight;
    }
  }
  const top = Math.max(...totals);
  const winners = feasible.filter((_, index) => totals[index] === top);
  return winners[randomInteger(random, winners.length)];
}

function normalized(scorer: ScorePlugin, counts: readonly number[]): readonly number[] {
  if (scorer.normalize === undefined) return counts;
  const most = Math.max(...counts);
  if (scorer.normalize === "range") {
    const least = Math.min(...counts);
    const span = most - least;
    return counts.map((count) => (span === 0 ? 0 : (MAX_SCORE * (count - least)) / span));
  }
  if (most === 0) return counts.map(() => (scorer.normalize === "lower" ? MAX_SCORE : 0));
  return counts.map((count) => {
    const share = (MAX_SCORE * count) / most;
    return scorer.normalize === "lower" ? MAX_SCORE - share : share;
  });
}
