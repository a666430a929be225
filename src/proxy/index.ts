export { createProxy } from "./proxy.ts";
export type { Proxy, ProxyOptions, ProxyPorts, ProxyStatistics } from "./proxy.ts";
export type { EgressPolicy } from "./egress/egress-router.ts";
export type { EgressErrorCode } from "./l7/egress-error.ts";
export type { NameResolver } from "./egress/outside-targets.ts";
export type { AddressTraffic } from "./net/traffic-counts.ts";
export type { RemoteDialer, TunnelTarget } from "./net/remote-dialer.ts";
export type { EndpointDial } from "./net/endpoint-dialer.ts";
