export { listenForDns } from "./cluster-dns.ts";
export type { ClusterDns, ClusterDnsOptions } from "./cluster-dns.ts";
export type { ClusterView } from "./cluster-view.ts";
export type { DnsAddress } from "./dns-server.ts";
export { searchZone } from "./search.ts";
export { ClusterZone } from "./zone.ts";
export type { ZoneAnswer, ZoneRecord } from "./zone.ts";
