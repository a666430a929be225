export { createProxy } from "./proxy.ts";
export type { Proxy, ProxyOptions, ProxyStatistics } from "./proxy.ts";
export { INGRESS_CLASS, INGRESS_CONTROLLER } from "./routing/ingress-rules.ts";
export type { RemoteDialer, TunnelTarget } from "./net/remote-dialer.ts";
