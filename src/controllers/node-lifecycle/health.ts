import { rfc3339 } from "../../apimachinery/index.ts";
import type { Node, NodeCondition, Taint } from "../../api/index.ts";
import { deepEqual } from "../deep-equal.ts";

/** Silence after which a node counts as lost, unless said otherwise. */
export const NODE_GRACE_MS = 40_000;

export const NOT_READY_TAINT = "node.kubernetes.io/not-ready";
export const UNREACHABLE_TAINT = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable";
const SILENT = "Kubelet stopped posting node status.";
const NEVER_HEARD = "Kubelet never posted node status.";

/** Conditions the node agent posts; all become Unknown together. */
const POSTED_CONDITIONS = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/** Condition types that keep new pods away while they are True. */
const PRESSURE_TAINTS: Readonly<Record<string, string>> = {
  MemoryPressure: "node.kubernetes.io/memory-pressure",
  DiskPressure: "node.kubernetes.io/disk-pressure",
  PIDPressure: "node.kubernetes.io/pid-pressure",
  NetworkUnavailable: "node.kubernetes.io/network-unavailable",
};
const OUR_TAINTS = new Set([
  NOT_READY_TAINT,
  UNREACHABLE_TAINT,
  UNSCHEDULABLE_TAINT,
  ...Object.values(PRESSURE_TAINTS),
]);

export interface NodeObserved {
  readonly node: Node;
  /** No sign of life for longer than the grace period. */
  readonly isSilent: boolean;
  /** Wall clock. */
  readonly nowMs: number;
  /** Whether its pods may be evicted for its being lost; asked only when that would begin. */
  readonly eviction: EvictionLeave;
}

/**
 * allowed: the node may be given up. held: not now. lifted: what was announced is taken back,
 * because all nodes are lost at once.
 */
export type EvictionLeave = "allowed" | "held" | "lifted";

export type NodeAction =
  | { readonly type: "conditions"; readonly conditions: readonly NodeCondition[] }
  | { readonly type: "taints"; readonly taints: readonly Taint[] }
  | { readonly type: "tell-not-ready" }
  /** The node cannot tell that its pods no longer serve: told for it. */
  | { readonly type: "mark-pods-not-ready" };

/** What the silence, the conditions and the cordon of a node amount to. */
export function planNode(observed: NodeObserved): readonly NodeAction[] {
  const { node } = observed;
  const { isSilent } = observed;
  const conditions = isSilent ? silentConditions(observed) : (node.status?.conditions ?? []);
  const readiness = readinessIn(conditions);
  const wasReady = readinessIn(node.status?.conditions) === "True";
  const taints = wantedTaints(node, conditions, observed);
  return [
    ...(deepEqual(conditions, node.status?.conditions ?? [])
      ? []
      : [{ type: "conditions", conditions } as const]),
    ...(deepEqual(taints, node.spec?.taints ?? []) ? [] : [{ type: "taints", taints } as const]),
    ...(isSilent && wasReady ? [{ type: "tell-not-ready" } as const] : []),
    ...(readiness === "Unknown" ? [{ type: "mark-pods-not-ready" } as const] : []),
  ];
}

function silentConditions({ node, nowMs }: NodeObserved): readonly NodeCondition[] {
  const known = node.status?.conditions ?? [];
  const others = known.filter(({ type }) => !POSTED_CONDITIONS.includes(type));
  const now = rfc3339(nowMs);
  const posted = POSTED_CONDITIONS.map((type): NodeCondition => {
    const current = known.find((condition) => condition.type === type);
    if (current?.status === "Unknown") return current;
    if (current === undefined) {
      const reason = "NodeStatusNeverUpdated";
      const times = {
        lastHeartbeatTime: node.metadata.creationTimestamp ?? now,
        lastTransitionTime: now,
      };
      return { type, status: "Unknown", reason, message: NEVER_HEARD, ...times };
    }
    const reason = "NodeStatusUnknown";
    return { ...current, status: "Unknown", reason, message: SILENT, lastTransitionTime: now };
  });
  // In the order they had, so that nothing seems changed when nothing has.
  const order = new Map(known.map(({ type }, index) => [type, index]));
  const place = ({ type }: NodeCondition): number => order.get(type) ?? known.length;
  return [...others, ...posted].sort((a, b) => place(a) - place(b));
}

/** Whether the node is lost and no eviction of its pods has been announced for it. */
export function awaitsEviction({
  node,
  isSilent,
}: Pick<NodeObserved, "node" | "isSilent">): boolean {
  const readiness = isSilent ? "Unknown" : readinessIn(node.status?.conditions);
  const announced = (node.spec?.taints ?? []).some(
    ({ key, effect }) =>
      effect === "NoExecute" && (key === NOT_READY_TAINT || key === UNREACHABLE_TAINT),
  );
  return (readiness === "Unknown" || readiness === "False") && !announced;
}

export function readinessIn(conditions: readonly NodeCondition[] | undefined): string | undefined {
  return conditions?.find(({ type }) => type === "Ready")?.status;
}

/** The taints of others as they are, and ours as the conditions have it. */
function wantedTaints(
  node: Node,
  conditions: readonly NodeCondition[],
  { eviction, nowMs }: Pick<NodeObserved, "eviction" | "nowMs">,
): readonly Taint[] {
  const known = node.spec?.taints ?? [];
  const ours = ourTaints(node, conditions).flatMap((taint): Taint[] => {
    const same = known.find(({ key, effect }) => key === taint.key && effect === taint.effect);
    if (taint.effect !== "NoExecute") return [same ?? taint];
    if (same !== undefined) return eviction === "lifted" ? [] : [same];
    return eviction === "allowed" ? [{ ...taint, timeAdded: rfc3339(nowMs) }] : [];
  });
  const kept = known.filter(
    ({ key, effect }) =>
      !OUR_TAINTS.has(key) || ours.some((taint) => taint.key === key && taint.effect === effect),
  );
  const added = ours.filter(
    ({ key, effect }) => !known.some((taint) => taint.key === key && taint.effect === effect),
  );
  return [...kept, ...added];
}

function ourTaints(node: Node, conditions: readonly NodeCondition[]): readonly Taint[] {
  const taints: Taint[] = [];
  const readiness = readinessIn(conditions);
  const lost =
    readiness === "False"
      ? NOT_READY_TAINT
      : readiness === "Unknown"
        ? UNREACHABLE_TAINT
        : undefined;
  if (lost !== undefined) {
    taints.push({ key: lost, effect: "NoSchedule" }, { key: lost, effect: "NoExecute" });
  }
  for (const { type, status } of conditions) {
    const key = PRESSURE_TAINTS[type];
    if (key !== undefined && status === "True") taints.push({ key, effect: "NoSchedule" });
  }
  if (node.spec?.unschedulable === true) {
    taints.push({ key: UNSCHEDULABLE_TAINT, effect: "NoSchedule" });
  }
  return taints;
}
