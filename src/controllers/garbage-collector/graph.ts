import type { KubeObject } from "../../apimachinery/index.ts";
import type { OwnerReference } from "../../api/index.ts";
import type { DiscoveredResource } from "../../client/index.ts";

export const FOREGROUND_FINALIZER = "foregroundDeletion";
export const ORPHAN_FINALIZER = "orphan";

/** What the collector knows of an object. */
export interface GraphNode {
  readonly resource: DiscoveredResource;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly owners: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  /** It has a deletionTimestamp. */
  readonly isDeleting: boolean;
}

/** It is going, but only after its dependents. */
export function isDeletingDependents(node: GraphNode): boolean {
  return node.isDeleting && node.finalizers.includes(FOREGROUND_FINALIZER);
}

export function graphNodeOf(resource: DiscoveredResource, object: KubeObject): GraphNode {
  const { metadata } = object;
  return {
    resource,
    namespace: metadata.namespace ?? "",
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    resourceVersion: metadata.resourceVersion ?? "",
    owners: metadata.ownerReferences ?? [],
    finalizers: metadata.finalizers ?? [],
    isDeleting: metadata.deletionTimestamp !== undefined,
  };
}

/** Who owns whom, by uid, over every kind of the API. */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  set(node: GraphNode): void {
    this.#unlink(node.uid);
    this.#nodes.set(node.uid, node);
    for (const owner of node.owners) {
      const known = this.#dependents.get(owner.uid);
      if (known === undefined) this.#dependents.set(owner.uid, new Set([node.uid]));
      else known.add(node.uid);
    }
  }

  delete(uid: string): void {
    this.#unlink(uid);
    this.#nodes.delete(uid);
  }

  dependentsOf(uid: string): readonly GraphNode[] {
    const uids = this.#dependents.get(uid) ?? [];
    return Array.from(uids, (dependent) => this.#nodes.get(dependent)).filter(
      (node) => node !== undefined,
    );
  }

  #unlink(uid: string): void {
    for (const owner of this.#nodes.get(uid)?.owners ?? []) {
      const known = this.#dependents.get(owner.uid);
      known?.delete(uid);
      if (known?.size === 0) this.#dependents.delete(owner.uid);
    }
  }
}
