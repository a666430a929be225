import type { Node, Pod } from "../api/index.ts";
import type { PodAffinities } from "./affinity-term.ts";
import type { Resources } from "./resources.ts";

/** A pod with what the plugins need of it, worked out once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly requests: Resources;
  readonly scoringRequests: Resources;
  /** Absent for pods that do not care which others are near. */
  readonly affinities: PodAffinities | undefined;
  /** Ports that it takes on its node, `TCP/0.0.0.0/8080`; mostly none. */
  readonly hostPorts: readonly HostPort[];
}

/** A port taken on every address of a node, or on one. */
export interface HostPort {
  readonly protocol: string;
  readonly ip: string;
  readonly port: number;
}

/** A node with what runs there or is about to. */
export interface NodeInfo {
  readonly node: Node;
  readonly allocatable: Resources;
  readonly requested: Resources;
  readonly scoringRequested: Resources;
  readonly podCount: number;
  /** Its pods, in the order in which they came. */
  pods(): Iterable<PodInfo>;
}

/** A pod that is to come to a node as soon as its victims have gone. */
export interface Nomination {
  readonly info: PodInfo;
  readonly nodeName: string;
}

/** Everything that a decision depends on besides the pod. */
export interface ClusterView {
  /** Nodes that exist, in the order in which they came. */
  readonly nodes: readonly NodeInfo[];
  readonly nominations: readonly Nomination[];
  /** Whether any pod on a node cares which others are near it. */
  readonly hasAffinities: boolean;
  labelsOfNamespace(name: string): Readonly<Record<string, string>> | undefined;
}

/** What may make room for a pod that a plugin refused. */
export type ClusterChange = "node-changed" | "pod-freed" | "pod-placed";

/** Why not, in Kubernetes' words; nothing when it may. */
export type Refusals = readonly string[];

/** Says whether a pod may run on a node. */
export interface FilterPlugin {
  readonly name: string;
  /** The changes after which a refusal is worth another look. */
  readonly wakesOn: readonly ClusterChange[];
  /**
   * `by-eviction`: without other pods it may fit. `never`: nothing that runs there is the reason.
   * A plugin that can tell only from its refusal has a function.
   */
  readonly resolvable:
    | "by-eviction"
    | "never"
    | ((pod: PodInfo, node: NodeInfo, refusals: Refusals) => "by-eviction" | "never");
  filter?(pod: PodInfo, node: NodeInfo): Refusals;
  /** For what needs a look at the whole cluster first; undefined when it has nothing to say. */
  prepare?(pod: PodInfo, cluster: ClusterView): ((node: NodeInfo) => Refusals) | undefined;
}

export const MAX_SCORE = 100;

/** Says how well a pod would do on a node, among those where it may run. */
export interface ScorePlugin {
  readonly name: string;
  readonly weight: number;
  /**
   * How to score nodes for a pod: 0 to {@link MAX_SCORE}, or counts for {@link normalize} to bring
   * there. Undefined when all nodes are alike.
   */
  prepare(pod: PodInfo, cluster: ClusterView): ((node: NodeInfo) => number) | undefined;
  /**
   * `higher` and `lower`: scales the counts of all nodes to 0 … MAX_SCORE, that way round; `range`
   * the least to 0 and the most to MAX_SCORE.
   */
  readonly normalize?: "higher" | "lower" | "range";
}
