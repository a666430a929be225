import type { OwnerReference } from "../../api/index.ts";
import { FOREGROUND_FINALIZER, isDeletingDependents, ORPHAN_FINALIZER } from "./graph.ts";
import type { GraphNode } from "./graph.ts";

/** How an owner that an object names is found to be. */
export type OwnerState =
  | "exists"
  /** No object has that uid. */
  | "absent"
  /** It is going, and waits for its dependents to go first. */
  | "deleting-dependents"
  /** Nobody could say: its kind is not served, or the server did not answer. */
  | "unknown";

export interface CollectorObserved {
  readonly node: GraphNode;
  readonly owners: readonly { readonly reference: OwnerReference; readonly state: OwnerState }[];
  readonly dependents: readonly GraphNode[];
}

export type CollectorAction =
  | {
      readonly type: "delete";
      readonly propagationPolicy: "Background" | "Foreground" | "Orphan";
    }
  /** Drop the references to these owners. */
  | { readonly type: "disown"; readonly ownerUids: readonly string[] }
  /** Drop the reference to this object from its dependents. */
  | { readonly type: "orphan-dependents"; readonly dependents: readonly GraphNode[] }
  | { readonly type: "remove-finalizer"; readonly finalizer: string }
  /** Dependents that must go before this object can. */
  | { readonly type: "collect"; readonly dependents: readonly GraphNode[] }
  | { readonly type: "look-again" };

/** What becomes of an object, given its owners and its dependents. */
export function planCollection(observed: CollectorObserved): readonly CollectorAction[] {
  const { node, dependents } = observed;
  if (node.isDeleting && node.finalizers.includes(ORPHAN_FINALIZER)) {
    return [
      ...(dependents.length === 0 ? [] : [{ type: "orphan-dependents", dependents } as const]),
      { type: "remove-finalizer", finalizer: ORPHAN_FINALIZER },
    ];
  }
  if (isDeletingDependents(node)) return collectDependents(node, dependents);
  if (node.isDeleting) return [];
  return judge(observed);
}

/** Foreground deletion: those who block go first, then the finalizer, and with it the owner. */
function collectDependents(
  node: GraphNode,
  dependents: readonly GraphNode[],
): readonly CollectorAction[] {
  const blocking = dependents.filter(({ owners }) =>
    owners.some(({ uid, blockOwnerDeletion }) => uid === node.uid && blockOwnerDeletion === true),
  );
  return blocking.length === 0
    ? [{ type: "remove-finalizer", finalizer: FOREGROUND_FINALIZER }]
    : [{ type: "collect", dependents: blocking }];
}

/** An object goes when it has had owners and none of them is left. */
function judge({ node, owners, dependents }: CollectorObserved): readonly CollectorAction[] {
  if (owners.length === 0) return [];
  const inState = (state: OwnerState) => owners.filter((owner) => owner.state === state);
  if (inState("unknown").length > 0 && inState("exists").length === 0) {
    return [{ type: "look-again" }];
  }
  const leaving = [...inState("absent"), ...inState("deleting-dependents")];
  if (inState("exists").length > 0) {
    const ownerUids = leaving.map(({ reference }) => reference.uid);
    return ownerUids.length === 0 ? [] : [{ type: "disown", ownerUids }];
  }
  const waited = inState("deleting-dependents").length > 0 && dependents.length > 0;
  if (waited) return [{ type: "delete", propagationPolicy: "Foreground" }];
  const propagationPolicy = node.finalizers.includes(ORPHAN_FINALIZER)
    ? "Orphan"
    : node.finalizers.includes(FOREGROUND_FINALIZER)
      ? "Foreground"
      : "Background";
  return [{ type: "delete", propagationPolicy }];
}
