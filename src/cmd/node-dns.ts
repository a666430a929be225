import { dnsServiceIp } from "../apiserver/index.ts";
import { listenForDns } from "../dns/index.ts";
import type { ClusterDns, DnsAddress } from "../dns/index.ts";
import type { Proxy, ProxyOptions } from "../proxy/index.ts";
import type { Settings } from "./data-directory.ts";
import type { Ground } from "./ground.ts";

const DNS_PORT = 53;

export interface NodeDnsOptions {
  readonly ground: Ground;
  readonly proxy: Pick<Proxy, "zone">;
  readonly serviceCidr: string;
  readonly bindAddress: string;
  /** As given by the user; 0 for any. */
  readonly port: number | undefined;
  /** Whether a predecessor listens there too, which is about to leave. */
  readonly sharesPorts: () => boolean;
  readonly signal: AbortSignal;
}

/** The address of the cluster's DNS, which is the same on every node: each answers for itself. */
export function dnsIpOf(serviceCidr: string): string {
  const [base = ""] = serviceCidr.split("/");
  const first = base.replace(/\d+$/, (octet) => String(Number(octet) + 1));
  return dnsServiceIp(first);
}

/**
 * Answers for the cluster's names on this node until the signal aborts. A node works without: its
 * own pods are answered in this process, so that a place that cannot be had is told and no more.
 */
export async function startNodeDns(options: NodeDnsOptions): Promise<DnsAddress | undefined> {
  const { ground, proxy, signal } = options;
  const { clock, random } = ground;
  const logger = ground.logger.child({ room: "dns" });
  let dns: ClusterDns;
  try {
    const { sharesPorts } = options;
    const answering = { zone: proxy.zone, clock, random, logger, sharesPorts };
    dns = await listenForDns(answering, placesFor(options));
  } catch (error) {
    logger.warn("the cluster's DNS has no address to listen on", { error: String(error) });
    return undefined;
  }
  signal.addEventListener("abort", () => dns.close(), { once: true });
  return dns.address;
}

/** The usual port may need a privilege, and the address be one that this machine does not have. */
function placesFor({ serviceCidr, bindAddress, port, ground }: NodeDnsOptions): DnsAddress[] {
  const hosts = [dnsIpOf(serviceCidr), bindAddress];
  const former = ground.settings.dnsPort;
  if (port !== undefined && port !== 0) return hosts.map((hostname) => ({ hostname, port }));
  const usual = port === undefined ? [{ hostname: dnsIpOf(serviceCidr), port: DNS_PORT }] : [];
  const free = [...(former === undefined ? [] : [former]), 0];
  return [...usual, ...hosts.flatMap((hostname) => free.map((each) => ({ hostname, port: each })))];
}

/** For the record and for the next start. */
export function dnsRecord(address: DnsAddress | undefined): { readonly dns?: string } {
  return address === undefined ? {} : { dns: `${address.hostname}:${address.port}` };
}

export function dnsSettings(address: DnsAddress | undefined): Partial<Settings> {
  return address === undefined ? {} : { dnsPort: address.port };
}

/** What the cluster's names are on every machine of it. */
export function zoneOptions(
  domain: string | undefined,
  { clusterCidr, serviceCidr }: { readonly clusterCidr: string; readonly serviceCidr: string },
): ProxyOptions["zone"] & object {
  return {
    ...(domain === undefined ? {} : { domain }),
    serverIp: dnsIpOf(serviceCidr),
    ranges: [clusterCidr, serviceCidr],
  };
}
