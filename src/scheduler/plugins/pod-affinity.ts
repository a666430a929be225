import { type AffinityTerm, isAboutPod } from "../affinity-term.ts";
import type { FilterPlugin, NodeInfo, PodInfo, ScorePlugin } from "../plugin.ts";

const NOT_NEAR = "node(s) didn't match pod affinity rules";
const NOT_APART = "node(s) didn't match pod anti-affinity rules";
const DISTURBS = "node(s) didn't satisfy existing pods anti-affinity rules";

/** Keeps pods near others and apart from others, as they require and as those others do. */
export const podAffinity: FilterPlugin = {
  name: "InterPodAffinity",
  wakesOn: ["node-changed", "pod-freed", "pod-placed"],
  resolvable: (_pod, _node, [why]) => (why === NOT_NEAR ? "never" : "by-eviction"),
  prepare: (pod, cluster) => {
    const { near = [], apart = [] } = pod.affinities ?? {};
    if (near.length === 0 && apart.length === 0 && !cluster.hasAffinities) return undefined;
    const [friends, foes, hosts] = [new Domains(), new Domains(), new Domains()];
    for (const node of cluster.nodes) {
      for (const other of node.pods()) {
        const isFriend = near.every((term) => isAboutPod(term, other.pod, cluster));
        if (isFriend) for (const term of near) friends.add(term.topologyKey, node);
        for (const term of apart) {
          if (isAboutPod(term, other.pod, cluster)) foes.add(term.topologyKey, node);
        }
        for (const term of other.affinities?.apart ?? []) {
          if (isAboutPod(term, pod.pod, cluster)) hosts.add(term.topologyKey, node);
        }
      }
    }
    // The first of a group that wants to be together would otherwise wait for itself.
    const isFirst = friends.isEmpty && near.every((term) => isAboutPod(term, pod.pod, cluster));
    return (node) => {
      const isNear = near.every(
        ({ topologyKey }) =>
          labelOf(node, topologyKey) !== undefined && (isFirst || friends.has(topologyKey, node)),
      );
      if (!isNear) return [NOT_NEAR];
      if (apart.some(({ topologyKey }) => foes.has(topologyKey, node))) return [NOT_APART];
      return hosts.hasAny(node) ? [DISTURBS] : [];
    };
  },
};

/** Prefers nodes near pods that it likes or that like it, and far from the others. */
export const preferPodAffinity: ScorePlugin = {
  name: "InterPodAffinity",
  weight: 2,
  normalize: "range",
  prepare: (pod, cluster) => {
    const { preferred = [] } = pod.affinities ?? {};
    if (preferred.length === 0 && !cluster.hasAffinities) return undefined;
    const weights = new Map<string, Map<string, number>>();
    const weigh = (terms: readonly AffinityTerm[], about: PodInfo, node: NodeInfo): void => {
      for (const term of terms) {
        const place = labelOf(node, term.topologyKey);
        if (place === undefined || !isAboutPod(term, about.pod, cluster)) continue;
        const byPlace = weights.get(term.topologyKey) ?? new Map<string, number>();
        weights.set(term.topologyKey, byPlace);
        byPlace.set(place, (byPlace.get(place) ?? 0) + term.weight);
      }
    };
    for (const node of cluster.nodes) {
      for (const other of node.pods()) {
        weigh(preferred, other, node);
        weigh(other.affinities?.preferred ?? [], pod, node);
        weigh(other.affinities?.near ?? [], pod, node);
      }
    }
    if (weights.size === 0) return undefined;
    return (node) => {
      let sum = 0;
      for (const [key, byPlace] of weights) sum += byPlace.get(labelOf(node, key) ?? "") ?? 0;
      return sum;
    };
  },
};

/** The value of a node's label: which zone, which host. */
export function labelOf({ node }: NodeInfo, key: string): string | undefined {
  return node.metadata.labels?.[key];
}

/** Places by the label that names them, such as the zones where some pods are. */
class Domains {
  readonly #places = new Map<string, Set<string>>();

  get isEmpty(): boolean {
    return this.#places.size === 0;
  }

  add(key: string, node: NodeInfo): void {
    const place = labelOf(node, key);
    if (place === undefined) return;
    const places = this.#places.get(key) ?? new Set<string>();
    this.#places.set(key, places.add(place));
  }

  has(key: string, node: NodeInfo): boolean {
    const place = labelOf(node, key);
    return place !== undefined && this.#places.get(key)?.has(place) === true;
  }

  hasAny(node: NodeInfo): boolean {
    return [...this.#places.keys()].some((key) => this.has(key, node));
  }
}
