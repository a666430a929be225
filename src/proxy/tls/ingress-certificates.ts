import type { SecureContext } from "node:tls";
import type { Ingress, Secret } from "../../api/index.ts";
import { createInformer, SECRETS, type Client } from "../../client/index.ts";
import type { Clock, Logger } from "../../lib/index.ts";
import { secureContext } from "../l7/tls-listener.ts";
import {
  collectTlsHosts,
  placeKey,
  secretOfHost,
  type SecretPlace,
  type TlsHosts,
} from "./tls-hosts.ts";

/** Secrets that are followed, each by a watch of its own; hosts of further ones get the default. */
export const MAX_TLS_SECRETS = 1_000;

const CERTIFICATE_KEY = "tls.crt";
const PRIVATE_KEY_KEY = "tls.key";

export interface IngressCertificatesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told once for each version of a Secret that cannot be shown, with a sentence for an event. */
  readonly onProblem: (ingress: Ingress, message: string) => void;
}

interface Followed {
  readonly stop: AbortController;
  context: SecureContext | undefined;
}

/**
 * Certificates of Ingresses by host. Each Secret that an Ingress names is followed on its own: a
 * node may read just those. One that appears or changes is shown from the next connection on.
 */
export class IngressCertificates {
  readonly #options: IngressCertificatesOptions;
  readonly #followed = new Map<string, Followed>();
  #hosts: TlsHosts = collectTlsHosts([]);

  constructor(options: IngressCertificatesOptions) {
    this.#options = options;
  }

  /** Undefined when the host has none, or none that can be used. */
  contextOf(host: string): SecureContext | undefined {
    const place = secretOfHost(this.#hosts, host);
    return place === undefined ? undefined : this.#followed.get(placeKey(place))?.context;
  }

  /** Follows what these Ingresses name, and nothing else any more. */
  update(ingresses: readonly Ingress[]): void {
    this.#hosts = collectTlsHosts(ingresses);
    const { places } = this.#hosts;
    for (const [key, { stop }] of this.#followed) {
      if (places.has(key)) continue;
      stop.abort();
      this.#followed.delete(key);
    }
    for (const [key, place] of places) {
      if (this.#followed.has(key)) continue;
      if (this.#followed.size >= MAX_TLS_SECRETS) {
        this.#options.logger.warn("too many certificates of Ingresses", { secret: key });
        return;
      }
      this.#follow(key, place);
    }
  }

  close(): void {
    for (const { stop } of this.#followed.values()) stop.abort();
    this.#followed.clear();
  }

  #follow(key: string, { namespace, name }: SecretPlace): void {
    const { client, clock, logger } = this.#options;
    const followed: Followed = { stop: new AbortController(), context: undefined };
    this.#followed.set(key, followed);
    const fieldSelector = `metadata.name=${name}`;
    const options = { clock, logger, namespace, fieldSelector };
    const informer = createInformer<Secret>(client, SECRETS, options);
    informer.addHandler({
      onAdd: (secret) => this.#take(key, followed, secret),
      onUpdate: (_old, secret) => this.#take(key, followed, secret),
      onDelete: () => {
        followed.context = undefined;
      },
    });
    informer.start(followed.stop.signal);
  }

  #take(key: string, followed: Followed, { data }: Secret): void {
    const certificate = decode(data?.[CERTIFICATE_KEY]);
    const privateKey = decode(data?.[PRIVATE_KEY_KEY]);
    try {
      if (certificate === "" || privateKey === "") {
        throw new Error(`it needs both ${CERTIFICATE_KEY} and ${PRIVATE_KEY_KEY}`);
      }
      followed.context = secureContext({ certificate, privateKey });
    } catch (error) {
      followed.context = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Secret ${key} holds no certificate that can be shown: ${reason}`;
      for (const ingress of this.#hosts.places.get(key)?.ingresses ?? []) {
        this.#options.onProblem(ingress, message);
      }
    }
  }
}

function decode(value: string | undefined): string {
  return value === undefined ? "" : Buffer.from(value, "base64").toString("utf8");
}
