import type { FilterPlugin } from "../plugin.ts";
import { tolerates } from "./taint-toleration.ts";

const TAINT = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" } as const;

/** A cordoned node takes only pods that tolerate its being cordoned. */
export const nodeUnschedulable: FilterPlugin = {
  name: "NodeUnschedulable",
  wakesOn: ["node-changed"],
  resolvable: "never",
  filter: ({ pod }, { node }) => {
    if (node.spec?.unschedulable !== true) return [];
    const fits = (pod.spec?.tolerations ?? []).some((toleration) => tolerates(toleration, TAINT));
    return fits ? [] : ["node(s) were unschedulable"];
  },
};
