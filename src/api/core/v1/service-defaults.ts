import type { Service, ServiceSpec } from "./types.ts";

const DEFAULT_AFFINITY_SECONDS = 10_800;

/** Fills in a Service. Addresses and node ports are allotted by the registry, not here. */
export function defaultService(service: Service): void {
  const spec = (service.spec ??= {});
  spec.sessionAffinity ||= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    const config = (spec.sessionAffinityConfig ??= {});
    config.clientIP ??= {};
    config.clientIP.timeoutSeconds ??= DEFAULT_AFFINITY_SECONDS;
  }
  spec.type ||= "ClusterIP";
  for (const port of spec.ports ?? []) {
    port.protocol ||= "TCP";
    // "" and 0 both say that the client has no opinion.
    port.targetPort ||= port.port;
  }
  defaultTraffic(spec);
  if (spec.type === "ExternalName") return;
  if (spec.clusterIP && spec.clusterIPs === undefined) spec.clusterIPs = [spec.clusterIP];
  spec.ipFamilyPolicy ??= "SingleStack";
  spec.ipFamilies ??= [familyOf(spec.clusterIP)];
}

function defaultTraffic(spec: ServiceSpec): void {
  const type = spec.type ?? "";
  const reachableFromOutside =
    type === "NodePort" ||
    type === "LoadBalancer" ||
    (type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);
  if (reachableFromOutside) spec.externalTrafficPolicy ||= "Cluster";
  if (type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
}

function familyOf(clusterIp: string | undefined): "IPv4" | "IPv6" {
  return clusterIp?.includes(":") === true ? "IPv6" : "IPv4";
}
