import type { Service } from "../../api/index.ts";
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
  service(namespace: string, name: string): Service | undefined;
  /** The node a pod's address belongs to. */
  nodeOfPod(ip: string): string | undefined;
}

const CLUSTER_DOMAIN = "cluster.local";
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
    const service = serviceName(namespace, host);
    if (service === undefined) return { type: "outside" };
    const known = this.#options.service(service.namespace, service.name);
    if (known === undefined) return { type: service.certain ? "unknown" : "outside" };
    const alias = known.spec?.type === "ExternalName" ? known.spec.externalName : undefined;
    if (alias !== undefined) return { type: "alias", host: alias.toLowerCase() };
    const key = `${service.namespace}/${service.name}`;
    const ports = (this.#services.get(key) ?? []).filter(({ protocol }) => protocol === "TCP");
    const found = choosePort(ports, port);
    return found === undefined ? { type: "no-port", service: key } : { type: "port", port: found };
  }

  /** The addresses of a name of the cluster, in no order; undefined when it is not of it. */
  resolve(namespace: string, host: string): readonly string[] | "unknown" | undefined {
    const service = serviceName(namespace, host);
    if (service === undefined) return undefined;
    const known = this.#options.service(service.namespace, service.name);
    if (known === undefined) return service.certain ? "unknown" : undefined;
    const clusterIp = known.spec?.clusterIP ?? "";
    if (clusterIp !== "" && clusterIp !== "None") return [clusterIp];
    const ports = this.#services.get(`${service.namespace}/${service.name}`) ?? [];
    return [...new Set(ports.flatMap(({ endpoints }) => endpoints.map(({ ip }) => ip)))];
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

interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  /** The name says itself that it is a Service. */
  readonly certain: boolean;
}

/** `NAME`, `NAME.NS`, `NAME.NS.svc`, `NAME.NS.svc.cluster.local`. */
function serviceName(namespace: string, host: string): ServiceName | undefined {
  const inCluster = host.endsWith(`.${CLUSTER_DOMAIN}`);
  const short = inCluster ? host.slice(0, -CLUSTER_DOMAIN.length - 1) : host;
  const [name = "", second, third, ...rest] = short.split(".");
  if (second === undefined) {
    return inCluster ? undefined : { namespace, name, certain: false };
  }
  if (third === undefined) {
    return inCluster ? undefined : { namespace: second, name, certain: false };
  }
  return third === "svc" && rest.length === 0
    ? { namespace: second, name, certain: true }
    : undefined;
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
