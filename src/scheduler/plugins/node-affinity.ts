import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from "../../api/index.ts";
import type { FilterPlugin, ScorePlugin } from "../plugin.ts";

/** Holds pods to their nodeSelector and to the required part of their node affinity. */
export const nodeAffinity: FilterPlugin = {
  name: "NodeAffinity",
  wakesOn: ["node-changed"],
  resolvable: "never",
  filter: ({ pod }, { node }) =>
    isWanted(pod, node) ? [] : ["node(s) didn't match Pod's node affinity/selector"],
};

/** Whether a pod's nodeSelector and required node affinity let it run on a node. */
export function isWanted({ spec }: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(spec?.nodeSelector ?? {});
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    selector.every(([key, value]) => labels[key] === value) &&
    (terms === undefined || terms.some((term) => matchesTerm(term, node)))
  );
}

/** Prefers nodes by the weights of the preferred part of the node affinity. */
export const preferAffinity: ScorePlugin = {
  name: "NodeAffinity",
  weight: 2,
  normalize: "higher",
  prepare: ({ pod }) => {
    const preferred =
      pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return ({ node }) =>
      preferred
        .filter(({ preference }) => matchesTerm(preference, node))
        .reduce((sum, { weight }) => sum + weight, 0);
  },
};

/** All expressions of a term must hold; a term without any matches no node. */
function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const fields: Record<string, string | undefined> = { "metadata.name": node.metadata.name };
  return (
    matchExpressions.every((requirement) => holds(requirement, labels[requirement.key])) &&
    matchFields.every((requirement) => holds(requirement, fields[requirement.key]))
  );
}

function holds({ operator, values = [] }: NodeSelectorRequirement, value?: string): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return isInteger(value) && isInteger(values[0]) && Number(value) > Number(values[0]);
    case "Lt":
      return isInteger(value) && isInteger(values[0]) && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

function isInteger(text: string | undefined): boolean {
  return text !== undefined && /^[-+]?\d+$/.test(text);
}
