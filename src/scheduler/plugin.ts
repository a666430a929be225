import type { Node, Pod } from "../api/index.ts";
import type { Resources } from "./resources.ts";

/** A pod with what the plugins need of it, worked out once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly requests: Resources;
  readonly scoringRequests: Resources;
}

/** A node with what runs there or is about to. */
export interface NodeInfo {
  readonly node: Node;
  readonly allocatable: Resources;
  readonly requested: Resources;
  readonly scoringRequested: Resources;
  readonly podCount: number;
}

/** What may make room for a pod that a plugin refused. */
export type ClusterChange = "node-changed" | "pod-freed";

/** Says whether a pod may run on a node. */
export interface FilterPlugin {
  readonly name: string;
  /** The changes after which a refusal is worth another look. */
  readonly wakesOn: readonly ClusterChange[];
  /** Why not, in Kubernetes' words; nothing when it may. */
  filter(pod: PodInfo, node: NodeInfo): readonly string[];
}

export const MAX_SCORE = 100;

/** Says how well a pod would do on a node, among those where it may run. */
export interface ScorePlugin {
  readonly name: string;
  readonly weight: number;
  /** 0 to {@link MAX_SCORE}; a plugin that counts things has {@link normalize} bring it there. */
  score(pod: PodInfo, node: NodeInfo): number;
  /** `higher` and `lower`: scales the counts of all nodes to 0 … MAX_SCORE, that way round. */
  readonly normalize?: "higher" | "lower";
}
