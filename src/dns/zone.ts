import type { Service } from "../api/index.ts";
import { dashed, namedEndpoints, undashed } from "./cluster-view.ts";
import type { ClusterView, EndpointPort, NamedEndpoint } from "./cluster-view.ts";

/** The domain of a cluster that was given no other. */
export const CLUSTER_DOMAIN = "cluster.local";
/** Seconds that answers about the cluster, and their absence, may be remembered. */
export const ZONE_TTL_SECONDS = 5;
/** Names of the cluster that an ExternalName may lead through. */
const MAX_ALIASES = 4;
/** The version of the schema of names, which clients may ask for (DNS-Based Service Discovery). */
const SCHEMA_VERSION = "1.1.0";

/** A record in the shape of the wire library. */
export type ZoneRecord =
  | { readonly type: "A" | "CNAME" | "PTR" | "NS"; readonly name: string; readonly data: string }
  | { readonly type: "SRV"; readonly name: string; readonly data: ServicePlace }
  | { readonly type: "TXT"; readonly name: string; readonly data: string };

export interface ServicePlace {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/**
 * - `records`: none of them means that the name is there, and has none of this type (NODATA)
 * - `outside`: the records lead to a name that is not of the zone, to be looked up elsewhere
 * - `unknown`: there is no such name (NXDOMAIN)
 * - `elsewhere`: the name is not of the zone
 */
export type ZoneAnswer =
  | { readonly type: "records"; readonly records: readonly ZoneRecord[]; readonly extra: Extra }
  | { readonly type: "outside"; readonly records: readonly ZoneRecord[]; readonly target: string }
  | { readonly type: "unknown" }
  | { readonly type: "elsewhere" };

/** Records that who asks needs next. */
type Extra = readonly ZoneRecord[];

const UNKNOWN: ZoneAnswer = { type: "unknown" };

export interface ZoneOptions {
  readonly view: ClusterView;
  /** "cluster.local" */
  readonly domain: string;
  /** Where this zone is asked, for its NS record. */
  readonly serverIp?: string;
  /** The ranges of the cluster, whose addresses have no names elsewhere: "127.43.0.0/16". */
  readonly ranges?: readonly string[];
}

/**
 * The names of a cluster, as Kubernetes' "DNS-Based Service Discovery" lays them down: Services,
 * headless ones and their endpoints, ports, pods by address, and addresses back to names.
 */
export class ClusterZone {
  readonly domain: string;
  readonly #options: ZoneOptions;
  readonly #suffix: readonly string[];

  constructor(options: ZoneOptions) {
    this.#options = options;
    this.domain = options.domain;
    this.#suffix = options.domain.split(".").reverse();
  }

  /** `name` in any case, without the root's dot; it is repeated in the records as it is. */
  ask(name: string, type: string): ZoneAnswer {
    const labels = name.toLowerCase().split(".").reverse();
    if (labels[0] === "arpa" && labels[1] === "in-addr") return this.#reverse(name, labels, type);
    const inside = this.#suffix.every((label, index) => labels[index] === label);
    if (!inside) return { type: "elsewhere" };
    return this.#inside(name, labels.slice(this.#suffix.length), type);
  }

  /** `rest` from the right: svc, namespace, service, and what is below it. */
  #inside(name: string, rest: readonly string[], type: string): ZoneAnswer {
    const [kind, namespace, third, ...below] = rest;
    if (kind === undefined) return this.#apex(name, type);
    if (kind === "dns-version" && namespace === undefined) {
      return records(type === "TXT" ? [{ type: "TXT", name, data: SCHEMA_VERSION }] : []);
    }
    if (kind === "dns" && namespace === "ns" && third === undefined) {
      const { serverIp } = this.#options;
      return records(type === "A" && serverIp !== undefined ? [a(name, serverIp)] : []);
    }
    if (kind === "svc" && namespace === undefined) return records([]);
    if (kind === "pod" && namespace === undefined) return records([]);
    if (third === undefined || namespace === undefined) {
      return namespace !== undefined && this.#hasNamespace(namespace) ? records([]) : UNKNOWN;
    }
    if (kind === "pod") return below.length === 0 ? podAnswer(name, third, type) : UNKNOWN;
    if (kind !== "svc") return UNKNOWN;
    const service = this.#options.view.service(namespace, third);
    return service === undefined ? UNKNOWN : this.#ofService({ name, service, below, type });
  }

  #apex(name: string, type: string): ZoneAnswer {
    return records(type === "NS" ? [{ type: "NS", name, data: `ns.dns.${this.domain}` }] : []);
  }

  #hasNamespace(namespace: string): boolean {
    for (const { metadata } of this.#options.view.services()) {
      if (metadata.namespace === namespace) return true;
    }
    return false;
  }

  #ofService(asked: Asked): ZoneAnswer {
    const { name, service, below } = asked;
    const { spec } = service;
    if (spec?.type === "ExternalName") {
      return below.length === 0 ? this.#alias(name, spec.externalName ?? "", asked.type) : UNKNOWN;
    }
    const clusterIp = spec?.clusterIP ?? "";
    const headless = clusterIp === "" || clusterIp === "None";
    const [first, second] = below;
    if (below.length > 2) return UNKNOWN;
    if (first !== undefined && second !== undefined) return this.#port(asked, first, second);
    if (first?.startsWith("_") === true) {
      return this.#protocolExists(service, first) ? records([]) : UNKNOWN;
    }
    const endpoints = this.#endpointsOf(service).filter(
      ({ label }) => first === undefined || label === first,
    );
    if (first === undefined && !headless) {
      if (asked.type === "SRV") return this.#placesOf(asked, () => true);
      return records(asked.type === "A" ? [a(name, clusterIp)] : []);
    }
    // A name that leads to nobody is none, until somebody is ready.
    if (endpoints.length === 0) return UNKNOWN;
    if (asked.type === "SRV" && first === undefined) return this.#placesOf(asked, () => true);
    if (asked.type !== "A") return records([]);
    return records([...new Set(endpoints.map(({ ip }) => ip))].map((ip) => a(name, ip)));
  }

  #protocolExists({ spec }: Service, label: string): boolean {
    return (spec?.ports ?? []).some(
      ({ protocol = "TCP" }) => `_${protocol.toLowerCase()}` === label,
    );
  }

  /** `_port._protocol` before a Service's name. */
  #port(asked: Asked, protocolLabel: string, portLabel: string): ZoneAnswer {
    if (!protocolLabel.startsWith("_") || !portLabel.startsWith("_")) return UNKNOWN;
    const matches = ({ name, protocol }: EndpointPort): boolean =>
      `_${name}` === portLabel && `_${protocol.toLowerCase()}` === protocolLabel;
    const found = this.#placesOf({ ...asked, type: "SRV" }, matches);
    if (found.type !== "records" || found.records.length === 0) return UNKNOWN;
    return asked.type === "SRV" ? found : records([]);
  }

  #placesOf({ name, service }: Asked, matches: (port: EndpointPort) => boolean): ZoneAnswer {
    const { metadata, spec } = service;
    const base = `${metadata.name}.${metadata.namespace}.svc.${this.domain}`;
    const clusterIp = spec?.clusterIP ?? "";
    const places: { target: string; ip: string; port: number }[] = [];
    if (clusterIp !== "" && clusterIp !== "None") {
      for (const { name: portName = "", protocol = "TCP", port } of spec?.ports ?? []) {
        if (!matches({ name: portName, protocol, port })) continue;
        places.push({ target: base, ip: clusterIp, port });
      }
    } else {
      for (const { label, ip, ports } of this.#endpointsOf(service)) {
        for (const each of ports) {
          if (matches(each)) places.push({ target: `${label}.${base}`, ip, port: each.port });
        }
      }
    }
    const weight = Math.max(1, Math.floor(100 / Math.max(1, places.length)));
    const found = places.map(({ target, port }): ZoneRecord => ({
      type: "SRV",
      name,
      data: { priority: 0, weight, port, target },
    }));
    const extra = new Map(places.map(({ target, ip }) => [`${target} ${ip}`, a(target, ip)]));
    return records(found, [...extra.values()]);
  }

  /** A name of the zone is followed here; another one is for who asked to follow. */
  #alias(name: string, externalName: string, type: string): ZoneAnswer {
    const first = withoutRoot(externalName);
    if (first === "") return UNKNOWN;
    const chain: ZoneRecord[] = [{ type: "CNAME", name, data: first }];
    if (type === "CNAME") return records(chain);
    let target = first;
    for (let step = 0; step < MAX_ALIASES; step++) {
      const next = this.#step(target, type);
      switch (next.type) {
        case "elsewhere":
          return { type: "outside", records: chain, target };
        case "alias":
          chain.push({ type: "CNAME", name: target, data: next.target });
          target = next.target;
          break;
        case "found":
          return records([...chain, ...next.records]);
      }
    }
    return records(chain);
  }

  #step(name: string, type: string): Step {
    const service = this.#serviceNamed(name);
    const { externalName } = service?.spec ?? {};
    if (service?.spec?.type === "ExternalName" && externalName !== undefined) {
      return { type: "alias", target: withoutRoot(externalName) };
    }
    const answer = this.ask(name, type);
    if (answer.type === "elsewhere") return { type: "elsewhere" };
    return { type: "found", records: answer.type === "records" ? answer.records : [] };
  }

  #serviceNamed(name: string): Service | undefined {
    const suffix = `.svc.${this.domain}`;
    const lower = name.toLowerCase();
    if (!lower.endsWith(suffix)) return undefined;
    const [service = "", namespace, ...more] = lower.slice(0, -suffix.length).split(".");
    if (namespace === undefined || more.length > 0) return undefined;
    return this.#options.view.service(namespace, service);
  }

  #endpointsOf({ metadata }: Service): readonly NamedEndpoint[] {
    const { namespace = "", name = "" } = metadata;
    return namedEndpoints(this.#options.view.slicesOf(namespace, name));
  }

  #reverse(name: string, labels: readonly string[], type: string): ZoneAnswer {
    const octets = labels.slice(2);
    const isAddress = octets.length === 4 && octets.every((each) => /^\d{1,3}$/.test(each));
    const ip = octets.join(".");
    if (!isAddress) return { type: "elsewhere" };
    const names = [...this.#namesOf(ip)];
    if (names.length > 0) {
      const found = names.map((data): ZoneRecord => ({ type: "PTR", name, data }));
      return records(type === "PTR" ? found : []);
    }
    const ours = (this.#options.ranges ?? []).some((range) => isIn(range, ip));
    return ours ? UNKNOWN : { type: "elsewhere" };
  }

  /** The Service that has the address, or else the endpoints that do. */
  *#namesOf(ip: string): Generator<string> {
    const { view } = this.#options;
    const base = ({ metadata }: Service): string =>
      `${metadata.name}.${metadata.namespace}.svc.${this.domain}`;
    for (const service of view.services()) {
      if (service.spec?.clusterIP !== ip) continue;
      yield base(service);
      return;
    }
    for (const service of view.services()) {
      const found = this.#endpointsOf(service).find((endpoint) => endpoint.ip === ip);
      if (found !== undefined) yield `${found.label}.${base(service)}`;
    }
  }
}

interface Asked {
  readonly name: string;
  readonly service: Service;
  /** From the right, what stands before the Service's name. */
  readonly below: readonly string[];
  readonly type: string;
}

type Step =
  | { readonly type: "elsewhere" }
  | { readonly type: "alias"; readonly target: string }
  | { readonly type: "found"; readonly records: readonly ZoneRecord[] };

/** A pod's address written as a name says nothing that is not in the name. */
function podAnswer(name: string, label: string, type: string): ZoneAnswer {
  const ip = undashed(label);
  if (ip === undefined || dashed(ip) !== label) return UNKNOWN;
  return records(type === "A" ? [a(name, ip)] : []);
}

function records(found: readonly ZoneRecord[], extra: Extra = []): ZoneAnswer {
  return { type: "records", records: found, extra };
}

function a(name: string, ip: string): ZoneRecord {
  return { type: "A", name, data: ip };
}

function withoutRoot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function isIn(range: string, ip: string): boolean {
  const [base = "", bits = "32"] = range.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(base) / size) === Math.floor(numberOf(ip) / size);
}

function numberOf(ip: string): number {
  return ip.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
}
