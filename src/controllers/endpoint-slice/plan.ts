import type { Endpoint, EndpointSlice, Pod, Service } from "../../api/index.ts";
import { deepEqual } from "../deep-equal.ts";
import { controllerReference } from "../owner-reference.ts";
import { podEndpoints, portsKey } from "./pod-endpoints.ts";
import type { PodEndpoint } from "./pod-endpoints.ts";

export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
export const MANAGED_BY = "endpointslice-controller.k8s.io";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
export const SERVICE_TYPE = { apiVersion: "v1", kind: "Service" } as const;

/** Endpoints a slice holds; the next ones go to another slice. */
export const MAX_ENDPOINTS_PER_SLICE = 100;

export interface SlicesObserved {
  readonly service: Service;
  /** Those its selector matches. */
  readonly pods: readonly Pod[];
  /** Those this controller keeps for the Service. */
  readonly slices: readonly EndpointSlice[];
}

export type SliceAction =
  | { readonly type: "create"; readonly slice: EndpointSlice }
  | { readonly type: "update"; readonly slice: EndpointSlice }
  | { readonly type: "delete"; readonly slice: EndpointSlice };

/**
 * Brings the slices of a Service to what its pods are, with few and small writes: an endpoint stays
 * in the slice it is in, new ones fill up what is there, and a slice left empty goes. A Service
 * without endpoints keeps one empty slice, which says so.
 */
export function planSlices(observed: SlicesObserved): readonly SliceAction[] {
  const { service, pods } = observed;
  const wanted = Map.groupBy(podEndpoints(service, pods), ({ ports }) => portsKey(ports));
  const slices = observed.slices.toSorted((a, b) =>
    (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1,
  );
  const usable = Map.groupBy(
    slices.filter(({ addressType }) => addressType === addressTypeOf(service)),
    ({ ports }) => portsKey(ports),
  );
  const actions = [...wanted].flatMap(([key, endpoints]) =>
    fill(service, endpoints, usable.get(key) ?? []),
  );
  const used = new Set([...wanted.keys()].flatMap((key) => usable.get(key) ?? []));
  const idle = slices.filter((slice) => !used.has(slice));
  if (wanted.size === 0) return placeholder(service, idle);
  return recycle(service, [
    ...actions,
    ...idle.map((slice): SliceAction => ({ type: "delete", slice })),
  ]);
}

/** A slice to be made takes the place of one to be deleted: one write less, and no gap between. */
function recycle(service: Service, actions: readonly SliceAction[]): readonly SliceAction[] {
  const doomed = actions.filter(
    ({ type, slice }) => type === "delete" && slice.addressType === addressTypeOf(service),
  );
  const reused = new Set<SliceAction>();
  const recycled = actions.map((action): SliceAction => {
    const victim = action.type === "create" ? doomed.shift() : undefined;
    if (victim === undefined) return action;
    reused.add(victim);
    const { endpoints = [], ports = [] } = action.slice;
    return { type: "update", slice: withMetadata(service, { ...victim.slice, endpoints, ports }) };
  });
  return recycled.filter((action) => !reused.has(action));
}

/** The endpoints of one set of ports, in slices that have these ports already and new ones. */
function fill(
  service: Service,
  wanted: readonly PodEndpoint[],
  slices: readonly EndpointSlice[],
): SliceAction[] {
  const missing = new Map(wanted.map(({ endpoint }) => [uidOf(endpoint), endpoint]));
  const kept = slices.map((slice) => ({
    slice,
    endpoints: (slice.endpoints ?? []).flatMap((old) => {
      const endpoint = missing.get(uidOf(old));
      missing.delete(uidOf(old));
      return endpoint === undefined ? [] : [endpoint];
    }),
  }));
  const queue = [...missing.values()];
  // What changes anyway takes the new ones first; then the fullest, so that few slices are left.
  const takers = kept
    .filter(({ endpoints }) => endpoints.length > 0)
    .sort((a, b) => b.endpoints.length - a.endpoints.length);
  const changed = takers.filter((one) => one.endpoints.length < (one.slice.endpoints ?? []).length);
  const spare = kept.filter(({ endpoints }) => endpoints.length === 0);
  for (const taker of [...changed, ...takers, ...spare]) {
    taker.endpoints.push(...queue.splice(0, MAX_ENDPOINTS_PER_SLICE - taker.endpoints.length));
  }
  const actions = kept.flatMap(({ slice, endpoints }): SliceAction[] => {
    if (endpoints.length === 0) return [{ type: "delete", slice }];
    const next = withMetadata(service, { ...slice, endpoints });
    return deepEqual(next, slice) ? [] : [{ type: "update", slice: next }];
  });
  while (queue.length > 0) {
    const endpoints = queue.splice(0, MAX_ENDPOINTS_PER_SLICE);
    const ports = [...(wanted[0]?.ports ?? [])];
    actions.push({ type: "create", slice: newSlice(service, { endpoints, ports }) });
  }
  return actions;
}

function placeholder(service: Service, slices: readonly EndpointSlice[]): readonly SliceAction[] {
  const [first, ...rest] = slices;
  if (first === undefined || first.addressType !== addressTypeOf(service)) {
    const slice = newSlice(service, { endpoints: [], ports: [] });
    return [
      ...slices.map((one) => ({ type: "delete", slice: one }) as const),
      { type: "create", slice },
    ];
  }
  const empty = withMetadata(service, { ...first, endpoints: [], ports: [] });
  const same = deepEqual({ ...empty, endpoints: [], ports: [] }, withLists(first));
  return [
    ...(same ? [] : [{ type: "update", slice: empty } as const]),
    ...rest.map((slice) => ({ type: "delete", slice }) as const),
  ];
}

/** The server may leave empty lists out. */
function withLists(slice: EndpointSlice): EndpointSlice {
  return { ...slice, endpoints: slice.endpoints ?? [], ports: slice.ports ?? [] };
}

function newSlice(
  service: Service,
  content: Pick<EndpointSlice, "endpoints" | "ports">,
): EndpointSlice {
  const { namespace } = service.metadata;
  return withMetadata(service, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      generateName: `${service.metadata.name}-`,
      ...(namespace === undefined ? {} : { namespace }),
    },
    addressType: addressTypeOf(service),
    ...content,
  });
}

/** Labels and owner follow the Service. */
function withMetadata(service: Service, slice: EndpointSlice): EndpointSlice {
  return {
    ...slice,
    metadata: {
      ...slice.metadata,
      labels: {
        ...service.metadata.labels,
        ...(isHeadless(service) ? { [HEADLESS_LABEL]: "" } : {}),
        [SERVICE_NAME_LABEL]: service.metadata.name ?? "",
        [MANAGED_BY_LABEL]: MANAGED_BY,
      },
      ownerReferences: [controllerReference(service, SERVICE_TYPE)],
    },
  };
}

export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === "None";
}

function addressTypeOf(service: Service): "IPv4" | "IPv6" {
  const { ipFamilies, clusterIP } = service.spec ?? {};
  if (ipFamilies?.[0] !== undefined) return ipFamilies[0] === "IPv6" ? "IPv6" : "IPv4";
  return clusterIP?.includes(":") === true ? "IPv6" : "IPv4";
}

function uidOf(endpoint: Endpoint): string {
  return endpoint.targetRef?.uid ?? endpoint.addresses.join(",");
}
