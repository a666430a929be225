import type {
  EndpointSlice,
  Service,
  ServicePort as ApiServicePort,
  ServiceSpec,
} from "../../api/index.ts";
import { WAKES_ANNOTATION } from "../wake/sleepers.ts";
import { servicePortKey, type Endpoint, type ServicePort } from "./routing-table.ts";

/** The value of `spec.loadBalancerClass` that names this proxy, besides none. */
export const LOAD_BALANCER_CLASS = "kubun.dev/node";
const DEFAULT_AFFINITY_SECONDS = 10_800;

/**
 * The ports of one Service with their endpoints, in the order of its spec. `slices` are the
 * EndpointSlices labelled with its name; ExternalName Services have no ports of their own here.
 * Endpoints of `nodeName` are local, or all when there is one node only.
 */
export function compileService(
  service: Service,
  slices: readonly EndpointSlice[],
  nodeName?: string,
): readonly ServicePort[] {
  const spec = service.spec;
  if (spec === undefined || spec.type === "ExternalName") return [];
  return (spec.ports ?? []).map((port) => compilePort(service, port, slices, nodeName));
}

function compilePort(
  service: Service,
  port: ApiServicePort,
  slices: readonly EndpointSlice[],
  nodeName: string | undefined,
): ServicePort {
  const namespace = service.metadata.namespace ?? "";
  const name = service.metadata.name ?? "";
  const spec = service.spec;
  const clusterIp = spec?.clusterIP;
  const wakes = service.metadata.annotations?.[WAKES_ANNOTATION];
  const affinity =
    spec?.sessionAffinity === "ClientIP"
      ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS)
      : undefined;
  const hasNodePort = spec?.type === "NodePort" || spec?.type === "LoadBalancer";
  const protocol = port.protocol ?? "TCP";
  const balanced = spec?.type === "LoadBalancer" && isOwnLoadBalancer(spec.loadBalancerClass);
  const sourceRanges = spec?.loadBalancerSourceRanges;
  const endpoints = collectEndpoints(port, slices);
  return {
    key: servicePortKey(namespace, name, port.port, protocol),
    namespace,
    service: name,
    name: port.name ?? "",
    port: port.port,
    protocol,
    ...(clusterIp === undefined || clusterIp === "" || clusterIp === "None" ? {} : { clusterIp }),
    ...(hasNodePort && port.nodePort !== undefined ? { nodePort: port.nodePort } : {}),
    ...(balanced ? { loadBalanced: true } : {}),
    ...(balanced && sourceRanges !== undefined && sourceRanges.length > 0 ? { sourceRanges } : {}),
    ...localPart(spec, endpoints, nodeName),
    ...(affinity === undefined ? {} : { affinitySeconds: affinity }),
    ...(wakes === undefined || wakes === "" ? {} : { wakes }),
    endpoints,
  };
}

/** A Service without a class is for the cluster's own load balancer, which this proxy is. */
function isOwnLoadBalancer(loadBalancerClass: string | undefined): boolean {
  return loadBalancerClass === undefined || loadBalancerClass === LOAD_BALANCER_CLASS;
}

function localPart(
  spec: ServiceSpec | undefined,
  endpoints: readonly Endpoint[],
  nodeName: string | undefined,
): Pick<ServicePort, "localOnly" | "localEndpoints"> {
  const internal = spec?.internalTrafficPolicy === "Local";
  const external = spec?.externalTrafficPolicy === "Local";
  if (!internal && !external) return {};
  const isHere = ({ node }: Endpoint): boolean => nodeName === undefined || node === nodeName;
  return { localOnly: { internal, external }, localEndpoints: endpoints.filter(isHere) };
}

/** Sorted by key without repetition, so that equal sets compile to equal lists. */
function collectEndpoints(
  port: ApiServicePort,
  slices: readonly EndpointSlice[],
): readonly Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const leaving = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.addressType !== "IPv4") continue;
    const number = slicePort(port, slice);
    if (number === undefined) continue;
    for (const { addresses, conditions, nodeName } of slice.endpoints ?? []) {
      const ip = addresses[0];
      if (ip === undefined) continue;
      const place = { key: `${ip}:${number}`, ip, port: number };
      const endpoint: Endpoint = nodeName === undefined ? place : { ...place, node: nodeName };
      // An unknown condition counts as ready (the EndpointSlice API's own reading).
      if (conditions?.ready !== false) ready.set(endpoint.key, endpoint);
      else if (conditions.serving !== false && conditions.terminating === true) {
        leaving.set(endpoint.key, endpoint);
      }
    }
  }
  const chosen = ready.size > 0 ? ready : leaving;
  return [...chosen.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** A slice's port belongs to the Service's port of the same name and protocol. */
function slicePort(port: ApiServicePort, slice: EndpointSlice): number | undefined {
  const found = (slice.ports ?? []).find(
    (candidate) =>
      (candidate.name ?? "") === (port.name ?? "") &&
      (candidate.protocol ?? "TCP") === (port.protocol ?? "TCP"),
  );
  return found?.port;
}

/** Whether two compilations say the same, so that the older identity is kept. */
export function sameServicePort(left: ServicePort, right: ServicePort): boolean {
  return (
    left.key === right.key &&
    left.name === right.name &&
    left.protocol === right.protocol &&
    left.clusterIp === right.clusterIp &&
    left.nodePort === right.nodePort &&
    left.loadBalanced === right.loadBalanced &&
    left.sourceRanges?.join() === right.sourceRanges?.join() &&
    left.localOnly?.internal === right.localOnly?.internal &&
    left.localOnly?.external === right.localOnly?.external &&
    left.wakes === right.wakes &&
    left.affinitySeconds === right.affinitySeconds &&
    left.endpoints.length === right.endpoints.length &&
    left.endpoints.every((endpoint, index) => {
      const other = right.endpoints[index];
      return endpoint.key === other?.key && endpoint.node === other.node;
    })
  );
}
