import type { Pod, TopologySpreadConstraint } from "../../api/index.ts";
import { type LabelSelector, matchesLabels } from "../../apimachinery/index.ts";
import { selectorWith } from "../affinity-term.ts";
import type { ClusterView, FilterPlugin, NodeInfo, ScorePlugin } from "../plugin.ts";
import { isWanted } from "./node-affinity.ts";
import { labelOf } from "./pod-affinity.ts";
import { untolerated } from "./taint-toleration.ts";

const UNEVEN = "node(s) didn't match pod topology spread constraints";
const UNLABELLED = `${UNEVEN} (missing required label)`;

/** A constraint with how many pods it finds in each place. */
interface Spread {
  readonly constraint: TopologySpreadConstraint;
  readonly selector: LabelSelector;
  readonly countByPlace: ReadonlyMap<string, number>;
}

/** Keeps the pods of a group evenly over zones or nodes. */
export const topologySpread: FilterPlugin = {
  name: "PodTopologySpread",
  wakesOn: ["node-changed", "pod-freed", "pod-placed"],
  resolvable: (_pod, _node, [why]) => (why === UNLABELLED ? "never" : "by-eviction"),
  prepare: ({ pod }, cluster) => {
    const spreads = spreadsOf(pod, cluster, "DoNotSchedule");
    if (spreads.length === 0) return undefined;
    return (node) => {
      for (const { constraint, selector, countByPlace } of spreads) {
        const place = labelOf(node, constraint.topologyKey);
        if (place === undefined) return [UNLABELLED];
        // With too few places there might be one more, which is empty.
        const isTooFew = countByPlace.size < (constraint.minDomains ?? 1);
        const least = isTooFew ? 0 : Math.min(...countByPlace.values(), Infinity);
        const own = matchesLabels(selector, pod.metadata.labels) ? 1 : 0;
        const skew = (countByPlace.get(place) ?? 0) + own - (least === Infinity ? 0 : least);
        if (skew > constraint.maxSkew) return [UNEVEN];
      }
      return [];
    };
  },
};

/** Prefers places with few pods of the group. */
export const preferSpread: ScorePlugin = {
  name: "PodTopologySpread",
  weight: 2,
  normalize: "lower",
  prepare: ({ pod }, cluster) => {
    const spreads = spreadsOf(pod, cluster, "ScheduleAnyway");
    if (spreads.length === 0) return undefined;
    return (node) =>
      spreads.reduce((sum, { constraint, countByPlace }) => {
        const place = labelOf(node, constraint.topologyKey);
        const worst = Math.max(0, ...countByPlace.values()) + 1;
        const count = place === undefined ? worst : (countByPlace.get(place) ?? 0);
        // Where there are many places, each pod more or less in one of them means more.
        return sum + count * Math.log(countByPlace.size + 2);
      }, 0);
  },
};

function spreadsOf(
  pod: Pod,
  cluster: ClusterView,
  whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway",
): readonly Spread[] {
  const all = pod.spec?.topologySpreadConstraints ?? [];
  const constraints = all.filter((one) => one.whenUnsatisfiable === whenUnsatisfiable);
  if (constraints.length === 0) return [];
  const keys = constraints.map(({ topologyKey }) => topologyKey);
  const nodes = cluster.nodes.filter((node) =>
    keys.every((key) => labelOf(node, key) !== undefined),
  );
  return constraints.map((constraint) => {
    const { labelSelector, matchLabelKeys, topologyKey } = constraint;
    const selector = selectorWith(labelSelector, pod, { matchLabelKeys });
    const countByPlace = new Map<string, number>();
    for (const node of nodes) {
      if (!isCounted(constraint, pod, node)) continue;
      const place = labelOf(node, topologyKey) ?? "";
      const before = countByPlace.get(place) ?? 0;
      countByPlace.set(place, before + countOn(node, selector, pod));
    }
    return { constraint, selector, countByPlace };
  });
}

/** Nodes where the pod may not run anyway do not make the others look full. */
function isCounted(
  { nodeAffinityPolicy, nodeTaintsPolicy }: TopologySpreadConstraint,
  pod: Pod,
  { node }: NodeInfo,
): boolean {
  if (nodeAffinityPolicy !== "Ignore" && !isWanted(pod, node)) return false;
  if (nodeTaintsPolicy !== "Honor") return true;
  const effects = ["NoSchedule", "NoExecute"];
  return untolerated(node.spec?.taints, pod.spec?.tolerations, effects).length === 0;
}

function countOn(node: NodeInfo, selector: LabelSelector, { metadata }: Pod): number {
  let count = 0;
  for (const { pod: other } of node.pods()) {
    const isOther = other.metadata.namespace !== metadata.namespace;
    if (isOther || other.metadata.deletionTimestamp !== undefined) continue;
    if (matchesLabels(selector, other.metadata.labels)) count++;
  }
  return count;
}
