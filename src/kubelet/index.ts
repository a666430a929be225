export { createKubelet } from "./kubelet.ts";
export type { KubeletOptions, NodeCapacity } from "./kubelet-options.ts";
export type { Kubelet } from "./kubelet.ts";
