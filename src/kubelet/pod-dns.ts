import type { Pod } from "../api/index.ts";
import type { DnsConfig } from "../runtime/index.ts";

/** Where the cluster's names are answered, and the domain below which they are. */
export interface ClusterDns {
  readonly address: string;
  /** `cluster.local` */
  readonly domain: string;
}

/** What the C library and Kubernetes take of a resolv.conf. */
export const MAX_NAME_SERVERS = 3;
export const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

export interface PodDnsInput {
  /** The machine's own resolv.conf. */
  readonly host: DnsConfig;
  readonly cluster?: ClusterDns;
}

/** What a pod's resolv.conf says, by its dnsPolicy and its own additions. Pure. */
export function podDns({ metadata, spec }: Pod, { host, cluster }: PodDnsInput): DnsConfig {
  const policy = spec?.dnsPolicy ?? "ClusterFirst";
  const onHost = spec?.hostNetwork === true;
  const first = policy === "ClusterFirst" ? !onHost : policy === "ClusterFirstWithHostNet";
  const empty: DnsConfig = { servers: [], searches: [], options: [] };
  const base =
    policy === "None"
      ? empty
      : first && cluster !== undefined
        ? ofCluster(cluster, metadata.namespace ?? "", host)
        : host;
  const own = spec?.dnsConfig ?? {};
  return bounded({
    servers: distinct([...base.servers, ...(own.nameservers ?? [])]),
    searches: distinct([...base.searches, ...(own.searches ?? [])]),
    options: mergedOptions(
      base.options,
      (own.options ?? []).map(({ name = "", value }) =>
        value === undefined || value === "" ? name : `${name}:${value}`,
      ),
    ),
  });
}

function ofCluster({ address, domain }: ClusterDns, namespace: string, host: DnsConfig): DnsConfig {
  const service = `svc.${domain}`;
  return {
    servers: [address],
    searches: [`${namespace}.${service}`, service, domain, ...host.searches],
    options: ["ndots:5"],
  };
}

function bounded({ servers, searches, options }: DnsConfig): DnsConfig {
  let left = MAX_SEARCH_CHARACTERS;
  const short = searches.slice(0, MAX_SEARCHES).filter((search) => {
    left -= search.length + 1;
    return left >= -1;
  });
  return { servers: servers.slice(0, MAX_NAME_SERVERS), searches: short, options };
}

/** An option of the pod takes the place of one of the same name. */
function mergedOptions(base: readonly string[], own: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const option of [...base, ...own]) merged.set(option.split(":")[0] ?? "", option);
  return [...merged.values()];
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** Reads a resolv.conf: unknown lines mean nothing to it, and the last `search` counts. */
export function parseResolvConf(text: string): DnsConfig {
  const servers: string[] = [];
  const options: string[] = [];
  let searches: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = (line.split(/[#;]/)[0] ?? "").trim().split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined) servers.push(values[0]);
    else if (keyword === "search" || keyword === "domain") searches = values;
    else if (keyword === "options") options.push(...values);
  }
  return { servers, searches, options };
}
