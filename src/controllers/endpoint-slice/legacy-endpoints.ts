import type {
  EndpointAddress,
  Endpoints,
  EndpointSlicePort,
  EndpointSubset,
  Pod,
  Service,
} from "../../api/index.ts";
import { HEADLESS_LABEL, isHeadless } from "./plan.ts";
import { podEndpoints, portsKey } from "./pod-endpoints.ts";
import type { PodEndpoint } from "./pod-endpoints.ts";

export const ENDPOINTS_MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by";
export const ENDPOINTS_MANAGED_BY = "endpoint-controller";
/** Addresses an Endpoints object holds; the rest is only in the slices. */
export const MAX_ENDPOINTS_ADDRESSES = 1000;
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";

/** The older form of a Service's endpoints, which `kubectl get endpoints` and many tools read. */
export function legacyEndpoints(service: Service, pods: readonly Pod[]): Endpoints {
  const { name = "", namespace } = service.metadata;
  const all = podEndpoints(service, pods).filter(isListed);
  const shown = all
    .toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)))
    .slice(0, MAX_ENDPOINTS_ADDRESSES);
  const groups = Map.groupBy(shown, ({ ports }) => portsKey(ports));
  const subsets = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => subset(group));
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: {
        ...service.metadata.labels,
        [ENDPOINTS_MANAGED_BY_LABEL]: ENDPOINTS_MANAGED_BY,
        ...(isHeadless(service) ? { [HEADLESS_LABEL]: "" } : {}),
      },
      ...(shown.length < all.length ? { annotations: { [OVER_CAPACITY]: "truncated" } } : {}),
    },
    ...(subsets.length === 0 ? {} : { subsets }),
  };
}

/** This form has no word for "on its way out": such pods are left out, unless all are wanted. */
function isListed({ endpoint }: PodEndpoint): boolean {
  return endpoint.conditions?.terminating !== true || endpoint.conditions.ready === true;
}

function isReady({ endpoint }: PodEndpoint): boolean {
  return endpoint.conditions?.ready === true;
}

function subset(group: readonly PodEndpoint[]): EndpointSubset {
  const addresses = group.filter(isReady).map(addressFor);
  const notReadyAddresses = group.filter((one) => !isReady(one)).map(addressFor);
  const ports = (group[0]?.ports ?? []).map(portFor);
  return {
    ...(addresses.length === 0 ? {} : { addresses: addresses.sort(byIp) }),
    ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses: notReadyAddresses.sort(byIp) }),
    ...(ports.length === 0 ? {} : { ports }),
  };
}

function addressFor({ endpoint }: PodEndpoint): EndpointAddress {
  const { hostname, nodeName, targetRef } = endpoint;
  return {
    ip: endpoint.addresses[0] ?? "",
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

function byIp(a: EndpointAddress, b: EndpointAddress): number {
  return a.ip < b.ip ? -1 : 1;
}

/** A port without a name has none here, where a slice says "". */
function portFor({ name, port = 0, protocol = "TCP", appProtocol }: EndpointSlicePort) {
  return {
    ...(name ? { name } : {}),
    port,
    protocol,
    ...(appProtocol === undefined ? {} : { appProtocol }),
  };
}
