import type { Taint, Toleration } from "../../api/index.ts";
import type { FilterPlugin, ScorePlugin } from "../plugin.ts";

/** True when the toleration covers the taint: an empty key covers all, an empty effect each. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  switch (toleration.operator || "Equal") {
    case "Exists":
      return true;
    case "Equal":
      return (toleration.value ?? "") === (taint.value ?? "");
    default:
      return false;
  }
}

/** The taints of these effects that no toleration covers. */
export function untolerated(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): readonly Taint[] {
  return (taints ?? []).filter(
    (taint) =>
      effects.includes(taint.effect) &&
      !(tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
  );
}

/** Keeps pods off nodes with a taint they do not tolerate. */
export const taintToleration: FilterPlugin = {
  name: "TaintToleration",
  wakesOn: ["node-changed"],
  resolvable: "never",
  filter: ({ pod }, { node }) => {
    const effects = ["NoSchedule", "NoExecute"];
    const [first] = untolerated(node.spec?.taints, pod.spec?.tolerations, effects);
    if (first === undefined) return [];
    return [`node(s) had untolerated taint {${first.key}: ${first.value ?? ""}}`];
  },
};

/** Prefers nodes with few taints that ask pods to stay away if they can. */
export const preferUntainted: ScorePlugin = {
  name: "TaintToleration",
  weight: 3,
  normalize: "lower",
  prepare:
    ({ pod }) =>
    ({ node }) =>
      untolerated(node.spec?.taints, pod.spec?.tolerations, ["PreferNoSchedule"]).length,
};
