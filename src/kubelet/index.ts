export { createKubelet } from "./kubelet.ts";
export type { KubeletOptions, NodeCapacity } from "./kubelet-options.ts";
export type { Kubelet } from "./kubelet.ts";
export { PEER_ADDRESS_ANNOTATION } from "./node-status.ts";
