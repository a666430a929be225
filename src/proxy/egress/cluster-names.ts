import type { Service } from "../../api/index.ts";
import { searchZone, type ClusterZone } from "../../dns/index.ts";
import type { Endpoint, RoutingTable, ServicePort } from "../routing/routing-table.ts";

/** What a host and port are in the cluster. */
export type ClusterAddress =
  | { readonly type: "port"; readonly port: ServicePort }
  /** One pod, or the address of an unknown one within a node's range. */
  | { readonly type: "endpoint"; readonly endpoint: Endpoint }
  /** A Service that stands for a name outside. */
  | { readonly type: "alias"; readonly host: string }
  /** The Service is there, and not that port of it. */
  | { readonly type: "no-port"; readonly service: string }
  /** A name that only the cluster could know, and does not. */
  | { readonly type: "unknown" }
  | { readonly type: "outside" };

export interface ClusterNamesOptions {
  /** The same names that the cluster's DNS answers for. */
  readonly zone: ClusterZone;
  service(namespace: string, name: string): Service | undefined;
  /** The node a pod's address belongs to. */
  nodeOfPod(ip: string): string | undefined;
}

/** Services of type ExternalName that one may lead through. */
const MAX_ALIASES = 4;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** Looks up names as a cluster's DNS would, in a routing table. */
export class ClusterNames {
  readonly #options: ClusterNamesOptions;
  readonly #table: RoutingTable;
  /** By `namespace/name`. */
  readonly #services = new Map<string, ServicePort[]>();
  readonly #clusterIps = new Map<string, ServicePort[]>();
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(table: RoutingTable, options: ClusterNamesOptions) {
    this.#table = table;
    this.#options = options;
    for (const port of table.ports.values()) {
      append(this.#services, `${port.namespace}/${port.service}`, port);
      if (port.clusterIp !== undefined) append(this.#clusterIps, port.clusterIp, port);
      for (const endpoint of port.endpoints) this.#endpoints.set(endpoint.key, endpoint);
    }
  }

  /** The table this was made of. */
  get table(): RoutingTable {
    return this.#table;
  }

  /** `host` in lower case; `namespace` is that of who asks. */
  find(namespace: string, host: string, port: number): ClusterAddress {
    if (IPV4.test(host)) return this.#findIp(host, port);
    const service = serviceName(namespace, host, this.#options.zone.domain);
    const known =
      service === undefined ? undefined : this.#options.service(service.namespace, service.name);
    if (service === undefined || known === undefined) return this.#findName(namespace, host, port);
    const alias = known.spec?.type === "ExternalName" ? known.spec.externalName : undefined;
    if (alias !== undefined) return this.#follow(namespace, alias, port);
    const key = `${service.namespace}/${service.name}`;
    const ports = (this.#services.get(key) ?? []).filter(({ protocol }) => protocol === "TCP");
    const found = choosePort(ports, port);
    return found === undefined ? { type: "no-port", service: key } : { type: "port", port: found };
  }

  /** What the cluster's DNS says of the name to a pod of the namespace. */
  resolve(namespace: string, host: string): NameAnswer {
    const answer = searchZone(this.#options.zone, namespace, host, "A");
    switch (answer.type) {
      case "outside":
        return { type: "outside", host: answer.target };
      case "unknown":
        return { type: "unknown" };
      case "elsewhere":
        return host.endsWith(".svc") ? { type: "unknown" } : { type: "outside", host };
      case "records": {
        const found = answer.records.flatMap(({ type, data }) => (type === "A" ? [data] : []));
        return { type: "addresses", addresses: found };
      }
    }
  }

  /** A name that is no Service's own: that of an endpoint, or of a pod by its address. */
  #findName(namespace: string, host: string, port: number): ClusterAddress {
    const answer = this.resolve(namespace, host);
    switch (answer.type) {
      case "unknown":
        return { type: "unknown" };
      case "outside":
        return answer.host === host ? { type: "outside" } : { type: "alias", host: answer.host };
      case "addresses": {
        const [ip] = answer.addresses;
        return ip === undefined ? { type: "unknown" } : this.#findIp(ip, port);
      }
    }
  }

  /** An ExternalName may lead to another Service; its names are whole ones. */
  #follow(namespace: string, externalName: string, port: number): ClusterAddress {
    const { zone, service } = this.#options;
    let host = externalName.toLowerCase().replace(/\.$/, "");
    for (let step = 0; step < MAX_ALIASES; step++) {
      if (!host.endsWith(`.svc.${zone.domain}`)) return { type: "alias", host };
      const named = serviceName(namespace, host, zone.domain);
      const known = named === undefined ? undefined : service(named.namespace, named.name);
      const next = known?.spec?.type === "ExternalName" ? known.spec.externalName : undefined;
      if (next === undefined) return this.find(namespace, host, port);
      host = next.toLowerCase().replace(/\.$/, "");
    }
    return { type: "unknown" };
  }

  #findIp(ip: string, number: number): ClusterAddress {
    const ports = this.#clusterIps.get(ip);
    if (ports !== undefined) {
      const port = ports.find((each) => each.port === number && each.protocol === "TCP");
      if (port !== undefined) return { type: "port", port };
      const name = `${ports[0]?.namespace}/${ports[0]?.service}`;
      return { type: "no-port", service: name };
    }
    const key = `${ip}:${number}`;
    const known = this.#endpoints.get(key);
    if (known !== undefined) return { type: "endpoint", endpoint: known };
    const node = this.#options.nodeOfPod(ip);
    if (node === undefined) return { type: "outside" };
    return { type: "endpoint", endpoint: { key, ip, port: number, node } };
  }
}

/** What a name is to a pod. */
export type NameAnswer =
  | { readonly type: "addresses"; readonly addresses: readonly string[] }
  /** To be looked up elsewhere, by this name. */
  | { readonly type: "outside"; readonly host: string }
  | { readonly type: "unknown" };

interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** `NAME`, `NAME.NS`, `NAME.NS.svc`, `NAME.NS.svc.cluster.local`. */
function serviceName(namespace: string, host: string, domain: string): ServiceName | undefined {
  const inCluster = host.endsWith(`.${domain}`);
  const short = inCluster ? host.slice(0, -domain.length - 1) : host;
  const [name = "", second, third, ...rest] = short.split(".");
  if (second === undefined) {
    return inCluster ? undefined : { namespace, name };
  }
  if (third === undefined) {
    return inCluster ? undefined : { namespace: second, name };
  }
  return third === "svc" && rest.length === 0 ? { namespace: second, name } : undefined;
}

/**
 * A headless Service has no address of its own: who asks it means the pods' port, so that this is
 * looked at first; its own number is understood too.
 */
function choosePort(ports: readonly ServicePort[], number: number): ServicePort | undefined {
  const headless = ports.filter(({ clusterIp }) => clusterIp === undefined);
  return (
    headless.find(({ endpoints }) => endpoints.some(({ port }) => port === number)) ??
    ports.find(({ port }) => port === number) ??
    // Which port its pods have is not known while it sleeps.
    headless.find(({ endpoints, wakes }) => endpoints.length === 0 && wakes !== undefined)
  );
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
