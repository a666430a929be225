import type { LoadBalancerIngress, Service } from "../api/index.ts";
import { isNotFound, SERVICES, type Client } from "../client/index.ts";
import type { Logger } from "../lib/index.ts";
import { loadBalancerAddress } from "./ingress-status.ts";
import { LOAD_BALANCER_CLASS } from "./routing/service-ports.ts";

/**
 * What the status of a Service should show, undefined to leave it: the address while this node
 * listens for its load balancer, nothing once it has none of ours.
 */
export function wantedStatus(
  { spec, status }: Service,
  address: string,
  options: { readonly isBound: boolean },
): readonly LoadBalancerIngress[] | undefined {
  const shown = status?.loadBalancer?.ingress ?? [];
  if (spec?.type !== "LoadBalancer") return shown.length > 0 ? [] : undefined;
  const { loadBalancerClass } = spec;
  // Another controller's business.
  if (loadBalancerClass !== undefined && loadBalancerClass !== LOAD_BALANCER_CLASS)
    return undefined;
  if (!options.isBound) return shown.length > 0 ? [] : undefined;
  const place = loadBalancerAddress(address);
  const want: LoadBalancerIngress = place.ip === undefined ? place : { ...place, ipMode: "VIP" };
  const [first] = shown;
  const same = shown.length === 1 && first?.ip === want.ip && first?.hostname === want.hostname;
  return same ? undefined : [want];
}

/** Writes into the status of LoadBalancer Services where they are reached. */
export class LoadBalancerStatusWriter {
  readonly #client: Client;
  readonly #logger: Logger;
  readonly #address: string;
  /** Under way, so that one change is not written twice. */
  readonly #writing = new Set<string>();

  constructor(client: Client, logger: Logger, address: string) {
    this.#client = client;
    this.#logger = logger;
    this.#address = address;
  }

  /** A failed write is tried again at the next change. */
  async publish(
    services: readonly Service[],
    isBound: (namespace: string, name: string) => boolean,
  ): Promise<void> {
    await Promise.all(
      services.map(async (service) => {
        const { namespace = "", name = "" } = service.metadata;
        const options = { isBound: isBound(namespace, name) };
        const ingress = wantedStatus(service, this.#address, options);
        if (ingress !== undefined) await this.#write(namespace, name, ingress);
      }),
    );
  }

  async #write(
    namespace: string,
    name: string,
    ingress: readonly LoadBalancerIngress[],
  ): Promise<void> {
    const key = `${namespace}/${name}`;
    if (this.#writing.has(key)) return;
    this.#writing.add(key);
    const loadBalancer = { ingress: ingress.length === 0 ? null : ingress };
    try {
      await this.#client
        .resource(SERVICES, namespace)
        .patch(name, { status: { loadBalancer } }, { type: "merge", subresource: "status" });
    } catch (error) {
      if (!isNotFound(error)) {
        this.#logger.warn("Service status not written", { service: key, error: String(error) });
      }
    } finally {
      this.#writing.delete(key);
    }
  }
}
