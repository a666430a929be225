import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";

/** A place where a Service port is to be listened on. */
export interface ListenerSpec {
  /** `address:port`, its identity. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly kind: "ClusterIP" | "NodePort";
  readonly servicePort: ServicePort;
}

/**
 * Where to listen for this table. A Service without an endpoint has no listener, so that connecting
 * to it is refused by the system, unless somebody is woken for it. Where two claim one address, the
 * one that sorts first has it.
 */
export function desiredListeners(
  table: RoutingTable,
  nodePortAddress: string,
): ReadonlyMap<string, ListenerSpec> {
  const specs = new Map<string, ListenerSpec>();
  function want(
    kind: ListenerSpec["kind"],
    address: string,
    port: number,
    servicePort: ServicePort,
  ): void {
    const key = `${address}:${port}`;
    const holder = specs.get(key);
    if (holder !== undefined && holder.servicePort.key <= servicePort.key) return;
    specs.set(key, { key, address, port, kind, servicePort });
  }
  for (const servicePort of table.ports.values()) {
    const { clusterIp, nodePort, port, endpoints, wakes } = servicePort;
    const served = endpoints.length > 0 || wakes !== undefined;
    if (servicePort.protocol !== "TCP" || !served) continue;
    if (clusterIp !== undefined) want("ClusterIP", clusterIp, port, servicePort);
    if (nodePort !== undefined) want("NodePort", nodePortAddress, nodePort, servicePort);
  }
  return specs;
}
