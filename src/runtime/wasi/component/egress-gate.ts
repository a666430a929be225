import type { AllowedHost } from "./pod-grants.ts";

/**
 * The way out of a pod: an HTTP/1.1 front on a Unix socket, kept by the node. Requests are in
 * origin form, their target is the Host header, `x-kubun-scheme: https` asks for TLS to it. What
 * the gate itself refuses carries `x-kubun-egress-error`, the name of a wasi:http error code.
 */
export interface EgressGate {
  /** Listens at `path` until closed. Throws when the socket cannot be made. */
  open(options: EgressOptions): { close(): void };
}

export interface EgressOptions {
  /** A Unix socket; what was there before is replaced. */
  readonly path: string;
  readonly pod: { readonly namespace: string; readonly name: string };
  /** What the pod may reach; everything else is refused with `http-request-denied`. */
  readonly allowedHosts: readonly AllowedHost[];
}
