import type { FilterPlugin } from "../plugin.ts";

/** A pod that names its node runs there or nowhere. */
export const nodeName: FilterPlugin = {
  name: "NodeName",
  wakesOn: ["node-changed"],
  resolvable: "never",
  filter: ({ pod }, { node }) => {
    const wanted = pod.spec?.nodeName;
    const fits = wanted === undefined || wanted === "" || wanted === node.metadata.name;
    return fits ? [] : ["node(s) didn't match the requested node name"];
  },
};
