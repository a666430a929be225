import type { Node, Pod } from "../api/index.ts";
import { affinitiesOf } from "./affinity-term.ts";
import type { ClusterView, HostPort, NodeInfo, Nomination, PodInfo } from "./plugin.ts";
import { add, podRequests, podScoringRequests, resourcesOf, subtract } from "./resources.ts";
import type { Resources } from "./resources.ts";

class CachedNode implements NodeInfo {
  node: Node;
  allocatable: Resources;
  readonly requested = new Map<string, number>();
  readonly scoringRequested = new Map<string, number>();
  readonly byUid = new Map<string, PodInfo>();
  /** False for a node that is gone, or not known yet, while pods still name it. */
  known: boolean;

  constructor(node: Node, known: boolean) {
    this.node = node;
    this.known = known;
    this.allocatable = resourcesOf(node.status?.allocatable);
  }

  get podCount(): number {
    return this.byUid.size;
  }

  pods(): Iterable<PodInfo> {
    return this.byUid.values();
  }
}

/** A node as it would be with exactly these pods. */
export function nodeWithPods(present: NodeInfo, pods: readonly PodInfo[]): NodeInfo {
  const requested = new Map<string, number>();
  const scoringRequested = new Map<string, number>();
  for (const info of pods) {
    add(requested, info.requests);
    add(scoringRequested, info.scoringRequests);
  }
  const { node, allocatable } = present;
  const podCount = pods.length;
  return { node, allocatable, requested, scoringRequested, podCount, pods: () => pods };
}

/** What the plugins need of a pod, worked out once a scheduling attempt. */
export function podInfoOf(pod: Pod): PodInfo {
  return {
    pod,
    requests: podRequests(pod),
    scoringRequests: podScoringRequests(pod),
    affinities: affinitiesOf(pod),
    hostPorts: hostPortsOf(pod),
  };
}

const NO_PORTS: readonly HostPort[] = [];

function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  let found = NO_PORTS;
  const sidecars = spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const containers of [spec?.containers, sidecars]) {
    for (const { ports } of containers ?? []) {
      for (const { hostPort, hostIP, protocol } of ports ?? []) {
        if (!hostPort) continue;
        const port = { protocol: protocol || "TCP", ip: hostIP || "0.0.0.0", port: hostPort };
        found = [...found, port];
      }
    }
  }
  return found;
}

/**
 * Nodes and what they have to carry, kept up event by event. A pod counts on its node from the
 * moment it is assumed there, before the API server has heard of it, so that the next pod is not
 * put on the same free place.
 */
export class ClusterCache {
  readonly #nodes = new Map<string, CachedNode>();
  readonly #pods = new Map<string, { readonly info: PodInfo; readonly nodeName: string }>();

  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #nominations = new Map<string, Nomination>();
  #affinityCount = 0;

  /** Nodes that exist, in the order in which they came. */
  nodes(): readonly NodeInfo[] {
    return [...this.#nodes.values()].filter(({ known }) => known);
  }

  /** Everything that a decision depends on, as of now. */
  view(): ClusterView {
    return {
      nodes: this.nodes(),
      nominations: this.#nominations.size === 0 ? NO_NOMINATIONS : [...this.#nominations.values()],
      hasAffinities: this.#affinityCount > 0,
      labelsOfNamespace: (name) => this.#namespaces.get(name),
    };
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>>): void {
    this.#namespaces.set(name, labels);
  }

  deleteNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  /** Keeps what victims leave behind on a node for the pod they leave for. */
  nominate(info: PodInfo, nodeName: string): void {
    this.#nominations.set(info.pod.metadata.uid ?? "", { info, nodeName });
  }

  /** True when there was a nomination to forget. */
  withdraw(uid: string): boolean {
    return this.#nominations.delete(uid);
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
    if (cached.byUid.size === 0) this.#nodes.delete(name);
  }

  /** Counts a pod on a node; one counted already is moved or replaced. */
  setPod(pod: Pod, nodeName: string, info: PodInfo = podInfoOf(pod)): void {
    const uid = pod.metadata.uid ?? "";
    this.deletePod(uid);
    this.#nominations.delete(uid);
    if (info.affinities !== undefined) this.#affinityCount++;
    const node =
      this.#nodes.get(nodeName) ?? new CachedNode({ metadata: { name: nodeName } }, false);
    this.#nodes.set(nodeName, node);
    node.byUid.set(uid, info);
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
    if (counted.info.affinities !== undefined) this.#affinityCount--;
    const node = this.#nodes.get(counted.nodeName);
    if (node === undefined) return true;
    node.byUid.delete(uid);
    subtract(node.requested, counted.info.requests);
    subtract(node.scoringRequested, counted.info.scoringRequests);
    if (!node.known && node.byUid.size === 0) this.#nodes.delete(counted.nodeName);
    return true;
  }
}

const NO_NOMINATIONS: readonly Nomination[] = [];
