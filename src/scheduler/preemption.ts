import type { Pod, PodDisruptionBudget } from "../api/index.ts";
import { labelSelectorFrom, matchesLabels, parseRfc3339 } from "../apimachinery/index.ts";
import { nodeWithPods } from "./cluster-cache.ts";
import { fits, refusalMessage, type Unschedulable } from "./cycle.ts";
import type { ClusterView, NodeInfo, PodInfo } from "./plugin.ts";

export type Preemption =
  | { readonly type: "evict"; readonly nodeName: string; readonly victims: readonly Pod[] }
  /** Nobody has to go, or nobody else: the reason follows the pod's own in its message. */
  | { readonly type: "none"; readonly message: string };

interface Candidate {
  readonly nodeName: string;
  /** The most important first. */
  readonly victims: readonly Pod[];
  /** How many of them their disruption budgets would keep. */
  readonly violations: number;
}

/**
 * Whom to evict for a pod that fits nowhere: less important pods of the node where that does the
 * least harm. As few of a node as will do, and those last whose budgets would keep them.
 */
export function planPreemption(
  pod: PodInfo,
  refusal: Unschedulable,
  cluster: ClusterView,
  budgets: readonly PodDisruptionBudget[],
): Preemption {
  if (pod.pod.spec?.preemptionPolicy === "Never") {
    return none("not eligible due to preemptionPolicy=Never.");
  }
  if (isBeingMadeRoomFor(pod, cluster)) {
    return none("not eligible due to a terminating pod on the nominated node.");
  }
  const candidates: Candidate[] = [];
  for (const node of refusal.byEviction) {
    const candidate = candidateOn(node, pod, cluster, budgets);
    if (candidate !== undefined) candidates.push(candidate);
  }
  const best = candidates.sort(byHarm)[0];
  if (best !== undefined) {
    return { type: "evict", nodeName: best.nodeName, victims: best.victims };
  }
  const tried = refusal.byEviction.length;
  const reasons = new Map<string, number>();
  if (tried > 0) reasons.set("No preemption victims found for incoming pod", tried);
  const others = refusal.nodeCount - tried;
  if (others > 0) reasons.set("Preemption is not helpful for scheduling", others);
  return none(refusalMessage(refusal.nodeCount, reasons));
}

function none(why: string): Preemption {
  return { type: "none", message: `preemption: ${why}` };
}

/** Victims on their way out make room in time; to evict more would not be faster. */
function isBeingMadeRoomFor({ pod }: PodInfo, { nodes, nominations }: ClusterView): boolean {
  const own = nominations.find(({ info }) => info.pod.metadata.uid === pod.metadata.uid);
  const nominated = own?.nodeName ?? pod.status?.nominatedNodeName ?? "";
  if (nominated === "") return false;
  const node = nodes.find((one) => one.node.metadata.name === nominated);
  return [...(node?.pods() ?? [])].some(
    (other) =>
      other.pod.metadata.deletionTimestamp !== undefined && priorityOf(other.pod) < priorityOf(pod),
  );
}

function candidateOn(
  node: NodeInfo,
  pod: PodInfo,
  cluster: ClusterView,
  budgets: readonly PodDisruptionBudget[],
): Candidate | undefined {
  const all = [...node.pods()];
  const lower = all.filter((other) => priorityOf(other.pod) < priorityOf(pod.pod));
  if (lower.length === 0) return undefined;
  const staying = all.filter((other) => !lower.includes(other));
  const fitsBeside = (others: readonly PodInfo[]): boolean => {
    const reduced = nodeWithPods(node, others);
    const nodes = cluster.nodes.map((one) => (one === node ? reduced : one));
    return fits(pod, reduced, { ...cluster, nodes });
  };
  if (!fitsBeside(staying)) return undefined;
  const kept = keptByBudgets(lower, budgets);
  const violating = lower.filter((one) => kept.has(one)).sort(byImportance);
  const others = lower.filter((one) => !kept.has(one)).sort(byImportance);
  const victims: PodInfo[] = [];
  // The most important stay if they can, first of all those that budgets would keep.
  for (const one of [...violating, ...others]) {
    if (fitsBeside([...staying, one])) staying.push(one);
    else victims.push(one);
  }
  return {
    nodeName: node.node.metadata.name ?? "",
    victims: victims.sort(byImportance).map((one) => one.pod),
    violations: victims.filter((one) => kept.has(one)).length,
  };
}

/** Pods whose eviction would take more than their budgets allow, in this order. */
function keptByBudgets(
  pods: readonly PodInfo[],
  budgets: readonly PodDisruptionBudget[],
): ReadonlySet<PodInfo> {
  const allowed = new Map(budgets.map((one) => [one, one.status?.disruptionsAllowed ?? 0]));
  const kept = new Set<PodInfo>();
  for (const info of pods) {
    const { namespace, labels, name = "" } = info.pod.metadata;
    for (const budget of budgets) {
      if (budget.metadata.namespace !== namespace) continue;
      if (!matchesLabels(labelSelectorFrom(budget.spec?.selector), labels)) continue;
      if (budget.status?.disruptedPods?.[name] !== undefined) continue;
      const left = (allowed.get(budget) ?? 0) - 1;
      allowed.set(budget, left);
      if (left < 0) kept.add(info);
    }
  }
  return kept;
}

function byHarm(left: Candidate, right: Candidate): number {
  const [a, b] = [left.victims.map(priorityOf), right.victims.map(priorityOf)];
  return (
    left.violations - right.violations ||
    (a[0] ?? 0) - (b[0] ?? 0) ||
    sumOf(a) - sumOf(b) ||
    a.length - b.length ||
    startedMs(right.victims[0]) - startedMs(left.victims[0])
  );
}

/** The higher priority first, then who has run the longest. */
function byImportance(left: PodInfo, right: PodInfo): number {
  return priorityOf(right.pod) - priorityOf(left.pod) || startedMs(left.pod) - startedMs(right.pod);
}

function priorityOf({ spec }: Pod): number {
  return spec?.priority ?? 0;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function startedMs(pod: Pod | undefined): number {
  const startMs = parseRfc3339(pod?.status?.startTime ?? "");
  return Number.isNaN(startMs) ? 0 : startMs;
}
