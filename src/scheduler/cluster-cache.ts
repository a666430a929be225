import type { Node, Pod } from "../api/index.ts";
import type { NodeInfo, PodInfo } from "./plugin.ts";
import { add, podRequests, podScoringRequests, resourcesOf, subtract } from "./resources.ts";
import type { Resources } from "./resources.ts";

class CachedNode implements NodeInfo {
  node: Node;
  allocatable: Resources;
  readonly requested = new Map<string, number>();
  readonly scoringRequested = new Map<string, number>();
  readonly pods = new Set<string>();
  /** False for a node that is gone, or not known yet, while pods still name it. */
  known: boolean;

  constructor(node: Node, known: boolean) {
    this.node = node;
    this.known = known;
    this.allocatable = resourcesOf(node.status?.allocatable);
  }

  get podCount(): number {
    return this.pods.size;
  }
}

/** What the plugins need of a pod, worked out once a scheduling attempt. */
export function podInfoOf(pod: Pod): PodInfo {
  return { pod, requests: podRequests(pod), scoringRequests: podScoringRequests(pod) };
}

/**
 * Nodes and what they have to carry, kept up event by event. A pod counts on its node from the
 * moment it is assumed there, before the API server has heard of it, so that the next pod is not
 * put on the same free place.
 */
export class ClusterCache {
  readonly #nodes = new Map<string, CachedNode>();
  readonly #pods = new Map<string, { readonly info: PodInfo; readonly nodeName: string }>();

  /** Nodes that exist, in the order in which they came. */
  nodes(): readonly NodeInfo[] {
    return [...this.#nodes.values()].filter(({ known }) => known);
  }

  setNode(node: Node): void {
    const cached = this.#nodes.get(node.metadata.name ?? "");
    if (cached === undefined) {
      this.#nodes.set(node.metadata.name ?? "", new CachedNode(node, true));
      return;
    }
    cached.node = node;
    cached.known = true;
    cached.allocatable = resourcesOf(node.status?.allocatable);
  }

  deleteNode(name: string): void {
    const cached = this.#nodes.get(name);
    if (cached === undefined) return;
    cached.known = false;
    if (cached.pods.size === 0) this.#nodes.delete(name);
  }

  /** Counts a pod on a node; one counted already is moved or replaced. */
  setPod(pod: Pod, nodeName: string): void {
    const uid = pod.metadata.uid ?? "";
    this.deletePod(uid);
    const info = podInfoOf(pod);
    const node =
      this.#nodes.get(nodeName) ?? new CachedNode({ metadata: { name: nodeName } }, false);
    this.#nodes.set(nodeName, node);
    node.pods.add(uid);
    add(node.requested, info.requests);
    add(node.scoringRequested, info.scoringRequests);
    this.#pods.set(uid, { info, nodeName });
  }

  /** Where a pod counts, assumed or bound. */
  nodeOf(uid: string): string | undefined {
    return this.#pods.get(uid)?.nodeName;
  }

  /** True when the pod was counted. */
  deletePod(uid: string): boolean {
    const counted = this.#pods.get(uid);
    if (counted === undefined) return false;
    this.#pods.delete(uid);
    const node = this.#nodes.get(counted.nodeName);
    if (node === undefined) return true;
    node.pods.delete(uid);
    subtract(node.requested, counted.info.requests);
    subtract(node.scoringRequested, counted.info.scoringRequests);
    if (!node.known && node.pods.size === 0) this.#nodes.delete(counted.nodeName);
    return true;
  }
}
