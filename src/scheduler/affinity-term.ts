import type { Pod, PodAffinityTerm, WeightedPodAffinityTerm } from "../api/index.ts";
import {
  labelSelectorFrom,
  type LabelSelector,
  matchesLabels,
  type MetaLabelSelector,
} from "../apimachinery/index.ts";
import type { ClusterView } from "./plugin.ts";

/** Pods near which, or away from which, a pod wants to be. */
export interface AffinityTerm {
  readonly topologyKey: string;
  readonly weight: number;
  readonly selector: LabelSelector;
  /** Undefined for all namespaces. */
  readonly namespaces: ReadonlySet<string> | undefined;
  /** More namespaces, by their labels. */
  readonly namespaceSelector: LabelSelector | undefined;
}

/** What a pod says about other pods, ready to be asked. */
export interface PodAffinities {
  readonly near: readonly AffinityTerm[];
  readonly apart: readonly AffinityTerm[];
  /** Weights above zero draw a pod near, those below push it away. */
  readonly preferred: readonly AffinityTerm[];
}

/** Undefined for pods that say nothing, which are most. */
export function affinitiesOf(pod: Pod): PodAffinities | undefined {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  if (podAffinity === undefined && podAntiAffinity === undefined) return undefined;
  const required = (terms: readonly PodAffinityTerm[] = []): AffinityTerm[] =>
    terms.map((term) => termOf(pod, term, 1));
  const weighted = (terms: readonly WeightedPodAffinityTerm[] = [], sign: 1 | -1): AffinityTerm[] =>
    terms.map(({ podAffinityTerm, weight }) => termOf(pod, podAffinityTerm, sign * weight));
  return {
    near: required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    apart: required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: [
      ...weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, 1),
      ...weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, -1),
    ],
  };
}

function termOf(pod: Pod, term: PodAffinityTerm, weight: number): AffinityTerm {
  const { topologyKey, namespaces = [], namespaceSelector } = term;
  const { matchLabelKeys, mismatchLabelKeys, labelSelector } = term;
  const isOwn = namespaces.length === 0 && namespaceSelector === undefined;
  const own = pod.metadata.namespace ?? "";
  const isEverywhere =
    namespaceSelector !== undefined &&
    Object.keys(namespaceSelector.matchLabels ?? {}).length === 0 &&
    (namespaceSelector.matchExpressions ?? []).length === 0;
  return {
    topologyKey,
    weight,
    selector: selectorWith(labelSelector, pod, { matchLabelKeys, mismatchLabelKeys }),
    namespaces: isEverywhere ? undefined : new Set(isOwn ? [own] : namespaces),
    namespaceSelector:
      namespaceSelector === undefined ? undefined : labelSelectorFrom(namespaceSelector),
  };
}

/** A selector, narrowed to pods that have a label in common with this one, or have it not. */
export function selectorWith(
  selector: MetaLabelSelector | undefined,
  { metadata }: Pod,
  keys: {
    readonly matchLabelKeys?: readonly string[] | undefined;
    readonly mismatchLabelKeys?: readonly string[] | undefined;
  },
): LabelSelector {
  const { matchLabelKeys = [], mismatchLabelKeys = [] } = keys;
  const more = [
    ...matchLabelKeys.map((key) => ({ key, operator: "In" })),
    ...mismatchLabelKeys.map((key) => ({ key, operator: "NotIn" })),
  ].flatMap(({ key, operator }) => {
    const value = metadata.labels?.[key];
    return value === undefined ? [] : [{ key, operator, values: [value] }];
  });
  if (selector === undefined || more.length === 0) return labelSelectorFrom(selector);
  const matchExpressions = [...(selector.matchExpressions ?? []), ...more];
  return labelSelectorFrom({ ...selector, matchExpressions });
}

/** Whether a term is about a pod. */
export function isAboutPod(
  { namespaces, namespaceSelector, selector }: AffinityTerm,
  { metadata }: Pod,
  cluster: ClusterView,
): boolean {
  const { namespace = "", labels } = metadata;
  const isThere =
    namespaces === undefined ||
    namespaces.has(namespace) ||
    (namespaceSelector !== undefined &&
      matchesLabels(namespaceSelector, cluster.labelsOfNamespace(namespace)));
  return isThere && matchesLabels(selector, labels);
}
