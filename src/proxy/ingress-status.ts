import type { Ingress, IngressLoadBalancerIngress } from "../api/index.ts";
import { INGRESSES, isNotFound, type Client } from "../client/index.ts";
import type { Logger } from "../lib/index.ts";

/** Addresses a status shows for Ingresses served at `address`. */
export function loadBalancerAddress(address: string): IngressLoadBalancerIngress {
  return /^[0-9.]+$|:/.test(address) ? { ip: address } : { hostname: address };
}

/** True when the status already says that this Ingress is served at the address, and only there. */
export function showsAddress(ingress: Ingress, address: string): boolean {
  const want = loadBalancerAddress(address);
  const shown = ingress.status?.loadBalancer?.ingress ?? [];
  return shown.length === 1 && shown[0]?.ip === want.ip && shown[0]?.hostname === want.hostname;
}

/** Writes where Ingresses are served into their status. */
export class IngressStatusWriter {
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

  /** Looks at every served Ingress; a failed write is tried again at the next change. */
  async publish(ingresses: readonly Ingress[]): Promise<void> {
    await Promise.all(
      ingresses
        .filter((ingress) => !showsAddress(ingress, this.#address))
        .map((ingress) => this.#write(ingress)),
    );
  }

  async #write(ingress: Ingress): Promise<void> {
    const { namespace = "", name = "" } = ingress.metadata;
    const key = `${namespace}/${name}`;
    if (this.#writing.has(key)) return;
    this.#writing.add(key);
    const status = { loadBalancer: { ingress: [loadBalancerAddress(this.#address)] } };
    try {
      await this.#client
        .resource(INGRESSES, namespace)
        .patch(name, { status }, { type: "merge", subresource: "status" });
    } catch (error) {
      if (!isNotFound(error)) {
        this.#logger.warn("ingress status not written", { ingress: key, error: String(error) });
      }
    } finally {
      this.#writing.delete(key);
    }
  }
}
