import type { EndpointSlice, Service } from "../api/index.ts";

/** What the zone is made of, as of now. */
export interface ClusterView {
  service(namespace: string, name: string): Service | undefined;
  services(): Iterable<Service>;
  /** The EndpointSlices of a Service. */
  slicesOf(namespace: string, name: string): readonly EndpointSlice[];
}

/** One ready endpoint of a Service, as names lead to it. */
export interface NamedEndpoint {
  /** `hostname` of the endpoint, or its address with dashes. */
  readonly label: string;
  readonly ip: string;
  readonly ports: readonly EndpointPort[];
}

export interface EndpointPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** Only what is ready has a name; the API says which of the others count as ready. */
export function namedEndpoints(slices: readonly EndpointSlice[]): readonly NamedEndpoint[] {
  const found = new Map<string, NamedEndpoint>();
  for (const { addressType, ports = [], endpoints = [] } of slices) {
    if (addressType !== "IPv4") continue;
    const known = (ports ?? []).flatMap(({ name = "", protocol = "TCP", port }) =>
      port === undefined ? [] : [{ name: name ?? "", protocol, port }],
    );
    for (const { addresses, conditions, hostname } of endpoints ?? []) {
      const [ip] = addresses;
      if (ip === undefined || conditions?.ready === false) continue;
      const label = hostname ?? dashed(ip);
      const before = found.get(`${label} ${ip}`);
      found.set(`${label} ${ip}`, { label, ip, ports: [...(before?.ports ?? []), ...known] });
    }
  }
  return [...found.values()];
}

export function dashed(ip: string): string {
  return ip.replaceAll(".", "-");
}

/** The address in a label such as `10-0-0-1`. */
export function undashed(label: string): string | undefined {
  const parts = /^(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})$/.exec(label)?.slice(1);
  if (parts === undefined || parts.some((part) => Number(part) > 255)) return undefined;
  return parts.map(Number).join(".");
}
