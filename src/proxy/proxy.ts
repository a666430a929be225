import type { Client } from "../client/index.ts";
import type { Clock, Logger } from "../lib/index.ts";

export interface ProxyOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The Unix socket of a pod's port when the pod runs here; undefined means TCP to ip:port. */
  readonly endpointSocket: (ip: string, port: number) => string | undefined;
  /** The address NodePorts listen on. */
  readonly nodePortAddress: string;
  /** Port 0 picks a free one. */
  readonly ingress: { readonly hostname: string; readonly port: number };
  /** Shown in the status of Ingresses; the ingress hostname unless given. */
  readonly ingressAddress?: string;
}

export interface Proxy {
  /** Listens and follows the API until the signal aborts. */
  start(signal: AbortSignal): Promise<{ readonly ingressPort: number }>;
}

export function createProxy(_options: ProxyOptions): Proxy {
  throw new Error("not available yet");
}
