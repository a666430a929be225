import { type Pod, PODS } from "../../api/index.ts";
import type { PresentObjects } from "../../registry/index.ts";

/** Names the stores that a pod's components may open, comma separated. */
export const KEYVALUE_STORES_ANNOTATION = "kubun.dev/keyvalue-stores";
/** Grants that are remembered by the pod that has them. */
export const MAX_REMEMBERED_GRANTS = 4_096;

/** What a node may do in a store of its pods: read, watch and change what is in it. */
export const NODE_VERBS: ReadonlySet<string> = new Set(["get", "watch", "update"]);

/**
 * Whether a pod that is bound to a node names a store. Every call of a component asks, so the pod
 * that answered last is looked at first; whether it still does is looked up each time.
 */
export class StoreGrants {
  readonly #present: PresentObjects;
  /** By node, namespace and store: the name of a pod. In the order in which they were found. */
  readonly #found = new Map<string, string>();

  constructor(present: PresentObjects) {
    this.#present = present;
  }

  has(node: string, namespace: string, store: string): boolean {
    const id = `${node}/${namespace}/${store}`;
    const known = this.#found.get(id);
    if (known !== undefined) {
      const pod = this.#present.find(PODS, namespace, known);
      if (pod !== undefined && grants(pod, node, store)) return true;
      this.#found.delete(id);
    }
    const holding = `"${KEYVALUE_STORES_ANNOTATION}":`;
    const pods = this.#present.all(PODS, namespace, { holding });
    const granting = pods.find((pod) => grants(pod, node, store));
    if (granting === undefined) return false;
    const [oldest] = this.#found.keys();
    if (this.#found.size >= MAX_REMEMBERED_GRANTS && oldest !== undefined) {
      this.#found.delete(oldest);
    }
    this.#found.set(id, granting.metadata.name ?? "");
    return true;
  }
}

function grants({ metadata, spec }: Readonly<Pod>, node: string, store: string): boolean {
  if (spec?.nodeName !== node) return false;
  const named = metadata.annotations?.[KEYVALUE_STORES_ANNOTATION] ?? "";
  return named.split(",").some((name) => name.trim() === store);
}
