export { createKubelet } from "./kubelet.ts";
export type { Kubelet, KubeletOptions, NodeCapacity } from "./kubelet.ts";
