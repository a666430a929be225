import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";
import { endpointsFor, type WayIn } from "../routing/way-in.ts";

/** A place where a Service port is to be listened on. */
export interface ListenerSpec {
  /** `address:port`, for UDP `address:port/UDP`: its identity. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly kind: WayIn;
  readonly servicePort: ServicePort;
}

export interface ListenerAddresses {
  /** Where NodePorts are listened on; may be every address. */
  readonly nodePort: string;
  /** One address of this node: on every one, ports of ClusterIPs would be in the way. */
  readonly loadBalancer: string;
}

/**
 * Where to listen for this table. A Service without an endpoint has no listener, so that connecting
 * to it is refused by the system, unless somebody is woken for it. Where two claim one address, the
 * one that sorts first has it.
 */
export function desiredListeners(
  table: RoutingTable,
  protocol: "TCP" | "UDP",
  addresses: ListenerAddresses,
): ReadonlyMap<string, ListenerSpec> {
  const specs = new Map<string, ListenerSpec>();
  function want(kind: WayIn, address: string, port: number, servicePort: ServicePort): void {
    if (!isServed(servicePort, kind)) return;
    const key = protocol === "TCP" ? `${address}:${port}` : `${address}:${port}/${protocol}`;
    const holder = specs.get(key);
    if (holder !== undefined && holder.servicePort.key <= servicePort.key) return;
    specs.set(key, { key, address, port, kind, servicePort });
  }
  for (const servicePort of table.ports.values()) {
    if (servicePort.protocol !== protocol) continue;
    const { clusterIp, nodePort, loadBalanced, port } = servicePort;
    if (clusterIp !== undefined) want("ClusterIP", clusterIp, port, servicePort);
    if (nodePort !== undefined) want("NodePort", addresses.nodePort, nodePort, servicePort);
    if (loadBalanced === true) want("LoadBalancer", addresses.loadBalancer, port, servicePort);
  }
  return specs;
}

function isServed(port: ServicePort, kind: WayIn): boolean {
  return endpointsFor(port, kind).length > 0 || port.wakes !== undefined;
}
