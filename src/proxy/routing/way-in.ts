import type { ServicePort } from "./routing-table.ts";

/** Which way clients come to a Service. */
export type WayIn = "ClusterIP" | "NodePort" | "LoadBalancer";

/** Where who comes this way may be led: a policy "Local" keeps him on this node. */
export function endpointsFor(port: ServicePort, kind: WayIn): ServicePort["endpoints"] {
  const { localOnly, localEndpoints, endpoints } = port;
  const isLocal = kind === "ClusterIP" ? localOnly?.internal : localOnly?.external;
  return isLocal === true ? (localEndpoints ?? endpoints) : endpoints;
}

/** The port as it is for who comes this way. */
export function portFor(port: ServicePort, kind: WayIn): ServicePort {
  const endpoints = endpointsFor(port, kind);
  return endpoints === port.endpoints ? port : { ...port, endpoints };
}
