import type { HostRules } from "./ingress-rules.ts";

/** Where a Service port's traffic can go: one pod, or an address outside. */
export interface Endpoint {
  /** `ip:port`; the same for every Service that has this endpoint. */
  readonly key: string;
  readonly ip: string;
  readonly port: number;
  /** The node of the pod; absent for addresses outside. */
  readonly node?: string;
  /** TLS is spoken to it, and its certificate has to be for this host. */
  readonly tlsHost?: string;
}

/** One port of one Service. Its identity changes exactly when something in it does. */
export interface ServicePort {
  /** `namespace/service:port number`, for other protocols than TCP with `/UDP` behind. */
  readonly key: string;
  readonly namespace: string;
  readonly service: string;
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  /** Absent for headless Services. */
  readonly clusterIp?: string;
  readonly nodePort?: number;
  /** This proxy is asked to be the load balancer of the Service. */
  readonly loadBalanced?: boolean;
  /** Who may come by way of the load balancer, as ranges; everybody when absent. */
  readonly sourceRanges?: readonly string[];
  /** Which ways in lead to the endpoints of this node only: {@link localEndpoints}. */
  readonly localOnly?: { readonly internal: boolean; readonly external: boolean };
  /** Those of {@link endpoints} that are on this node; there with {@link localOnly}. */
  readonly localEndpoints?: readonly Endpoint[];
  /** Seconds a client stays with its endpoint; absent without session affinity. */
  readonly affinitySeconds?: number;
  /** The Deployment that is scaled up from zero for who asks. */
  readonly wakes?: string;
  /** Ready ones; when there is none, those that still serve while they terminate. */
  readonly endpoints: readonly Endpoint[];
}

/** Everything the data path looks at. Swapped whole; never changed in place. */
export interface RoutingTable {
  /** By {@link ServicePort.key}. */
  readonly ports: ReadonlyMap<string, ServicePort>;
  readonly ingress: HostRules;
}

/** A Service may have one number for TCP and for another protocol. */
export function servicePortKey(
  namespace: string,
  service: string,
  port: number,
  protocol = "TCP",
): string {
  const place = `${namespace}/${service}:${port}`;
  return protocol === "TCP" ? place : `${place}/${protocol}`;
}
