export { listenForDns } from "./cluster-dns.ts";
export type { ClusterDns, ClusterDnsOptions } from "./cluster-dns.ts";
export type { ClusterView } from "./cluster-view.ts";
export type { DnsAddress } from "./dns-server.ts";
export { searchZone } from "./search.ts";
export { CLUSTER_DOMAIN, ClusterZone } from "./zone.ts";
export type { ZoneAnswer, ZoneOptions, ZoneRecord } from "./zone.ts";
