import type { EndpointSlice, Pod, Service, ServicePort as ApiPort } from "../../api/index.ts";
import type { CancelTimer, Clock } from "../../lib/index.ts";
import type { RoutingBuilder } from "../routing/routing-builder.ts";
import type { ServicePort } from "../routing/routing-table.ts";
import { WAKES_ANNOTATION } from "./sleepers.ts";

/** What the API says counts alone from then on: it has told of the pod, or the pod is gone. */
export const EARLY_MS = 5_000;
/** Pods of this node that may be endpoints early; what comes beyond waits for its slice. */
export const MAX_EARLY_PODS = 256;

export interface EarlyEndpointsOptions {
  readonly builder: RoutingBuilder;
  readonly clock: Clock;
  /** The ports for which somebody waits. */
  readonly awaited: () => Iterable<ServicePort>;
  /** The builder has something new. */
  readonly onChange: () => void;
}

interface Early {
  readonly address: string;
  readonly slices: readonly EndpointSlice[];
  readonly cancel: CancelTimer;
}

/**
 * Pods of this node for which somebody waits are endpoints as soon as their kubelet finds them
 * ready. The same comes by way of the API some 15 ms later (the pod's status, the controller, an
 * EndpointSlice), which is a fifth of a wake from zero; from then on the slice counts alone.
 */
export class EarlyEndpoints {
  readonly #options: EarlyEndpointsOptions;
  /** By the pod's uid. */
  readonly #early = new Map<string, Early>();

  constructor(options: EarlyEndpointsOptions) {
    this.#options = options;
  }

  /** The kubelet of this node found that the pod, whose status is given, is ready or is not. */
  tell(pod: Pod, { ready }: { readonly ready: boolean }): void {
    const { uid = "" } = pod.metadata;
    this.#drop(uid);
    const address = pod.status?.podIP;
    const leaves = pod.metadata.deletionTimestamp !== undefined;
    if (!ready || leaves || address === undefined || this.#early.size >= MAX_EARLY_PODS) return;
    const slices = this.#servicesOf(pod).map((service) => sliceOf(service, pod, address));
    if (slices.length === 0) return;
    const { builder, clock, onChange } = this.#options;
    for (const slice of slices) builder.setEndpointSlice(slice);
    const cancel = clock.after(EARLY_MS, () => this.#drop(uid));
    this.#early.set(uid, { address, slices, cancel });
    onChange();
  }

  /** A slice came from the API: whom it tells of needs no other. */
  seen({ endpoints }: EndpointSlice): void {
    if (this.#early.size === 0) return;
    const told = new Set((endpoints ?? []).flatMap(({ addresses }) => addresses));
    for (const [uid, { address }] of this.#early) if (told.has(address)) this.#drop(uid);
  }

  #drop(uid: string): void {
    const early = this.#early.get(uid);
    if (early === undefined) return;
    this.#early.delete(uid);
    early.cancel();
    for (const slice of early.slices) this.#options.builder.deleteEndpointSlice(slice);
    this.#options.onChange();
  }

  /** Those of the pod's Services that sleep and are asked for now. */
  #servicesOf(pod: Pod): Service[] {
    const { builder, awaited } = this.#options;
    const { namespace = "" } = pod.metadata;
    const names = new Set(
      Array.from(awaited(), (port) => (port.namespace === namespace ? port.service : "")),
    );
    return [...names].flatMap((name) => {
      const service = name === "" ? undefined : builder.service(namespace, name);
      return service !== undefined && selects(service, pod) ? [service] : [];
    });
  }
}

function selects({ metadata, spec }: Service, { metadata: { labels = {} } }: Pod): boolean {
  const wanted = Object.entries(spec?.selector ?? {});
  const wakes = metadata.annotations?.[WAKES_ANNOTATION] !== undefined;
  return wakes && wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}

/** A slice that no server knows; the name is none that an object could have. */
function sliceOf(service: Service, pod: Pod, address: string): EndpointSlice {
  const { namespace = "", name = "" } = service.metadata;
  const { nodeName } = pod.spec ?? {};
  return {
    metadata: {
      namespace,
      name: `early/${name}/${pod.metadata.uid}`,
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: "IPv4",
    endpoints: [
      {
        addresses: [address],
        conditions: { ready: true },
        ...(nodeName === undefined ? {} : { nodeName }),
      },
    ],
    ports: (service.spec?.ports ?? []).flatMap((port) => {
      const target = targetPort(port, pod);
      if (target === undefined) return [];
      return [{ name: port.name ?? "", protocol: port.protocol ?? "TCP", port: target }];
    }),
  };
}

/** A number stands for itself; a name is that of a port of the pod. */
function targetPort({ targetPort: target = 0, port, protocol = "TCP" }: ApiPort, pod: Pod) {
  if (typeof target === "number") return target === 0 ? port : target;
  return (pod.spec?.containers ?? [])
    .flatMap(({ ports }) => ports ?? [])
    .find((one) => one.name === target && (one.protocol ?? "TCP") === protocol)?.containerPort;
}
