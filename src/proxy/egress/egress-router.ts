import type { RequestHead } from "../../lib/index.ts";
import type { EgressErrorCode } from "../l7/egress-error.ts";
import type { RequestRouter, RequestTarget } from "../l7/request-target.ts";
import type { EndpointStates } from "../net/endpoint-states.ts";
import type { Endpoint, ServicePort } from "../routing/routing-table.ts";
import type { ClusterNames } from "./cluster-names.ts";
import { readEgressRequest, type EgressRequest } from "./egress-request.ts";
import { isMachineAddress, type OutsideTargets } from "./outside-targets.ts";

/** On whose behalf requests are sent, and where to they may be. */
export interface EgressPolicy {
  /** In which short names are looked up. */
  readonly namespace: string;
  /** Lower-case host without the root's dot. */
  allows(scheme: "http" | "https", host: string, port: number): boolean;
}

export interface EgressRouterOptions {
  readonly policy: EgressPolicy;
  readonly states: EndpointStates;
  readonly outside: OutsideTargets;
  /** Of the table in use. */
  names(): ClusterNames;
  /** Resolves once the first table is in use. */
  readonly ready: Promise<void>;
  isReady(): boolean;
}

type Forward = Extract<EgressRequest, { type: "forward" }>;

/** Decides for the requests of one pod. */
export class EgressRouter implements RequestRouter {
  readonly side = "egress";
  readonly #options: EgressRouterOptions;

  constructor(options: EgressRouterOptions) {
    this.#options = options;
  }

  route(head: RequestHead): RequestTarget | Promise<RequestTarget> {
    const request = readEgressRequest(head);
    switch (request.type) {
      case "fault":
        return refused(400, request.message, "http-protocol-error");
      case "resolve":
        return this.#whenReady(() => this.#resolve(request.host));
      case "forward": {
        const { scheme, host, port } = request;
        if (!this.#options.policy.allows(scheme, host, port)) {
          const message = `${scheme}://${host}:${port} is not among the hosts this pod may ask`;
          return refused(403, message, "http-request-denied");
        }
        return this.#whenReady(() => this.#find(request));
      }
    }
  }

  #whenReady(
    act: () => RequestTarget | Promise<RequestTarget>,
  ): RequestTarget | Promise<RequestTarget> {
    return this.#options.isReady() ? act() : this.#options.ready.then(act);
  }

  #find(request: Forward): RequestTarget | Promise<RequestTarget> {
    const { policy, states } = this.#options;
    const { host, port: number } = request;
    const found = this.#options.names().find(policy.namespace, host, number);
    switch (found.type) {
      case "port":
        if (request.scheme === "https") return this.#encrypted(request, found.port);
        return { type: "port", port: found.port, states, ...connectLimit(request) };
      case "endpoint":
        return this.#fixed(request, [found.endpoint]);
      case "alias":
        return this.#outside(request, found.host);
      case "no-port":
        return refused(502, `Service ${found.service} has no port ${number}`, "connection-refused");
      case "unknown":
        return refused(502, `there is no Service ${host}`, "dns-error");
      case "outside":
        return this.#outside(request, host);
    }
  }

  #encrypted(request: Forward, port: ServicePort): RequestTarget {
    if (port.endpoints.length > 0) return this.#fixed(request, port.endpoints);
    if (port.wakes !== undefined) {
      const { states } = this.#options;
      return { type: "port", port, states, awake: () => this.#find(request) };
    }
    const message = `Service ${port.namespace}/${port.service} has no ready endpoint`;
    return refused(503, message, "destination-unavailable");
  }

  async #outside(request: Forward, name: string): Promise<RequestTarget> {
    const found = await this.#options.outside.lookup(name);
    if (found.type === "failed") return lookupFailed(name, found.code);
    const usable = usableAddresses(request.host, found.addresses);
    if (usable.length === 0) return prohibited(name, found.addresses);
    const { port } = request;
    const endpoints = usable.map((ip) => ({ key: `${ip}:${port}`, ip, port }));
    return this.#fixed(request, endpoints);
  }

  #fixed(request: Forward, endpoints: readonly Endpoint[]): RequestTarget {
    const { outside } = this.#options;
    const { scheme, host, port } = request;
    const tls = scheme === "https";
    const reached = tls
      ? endpoints.map((each) => ({ ...each, key: `https ${host} ${each.key}`, tlsHost: host }))
      : endpoints;
    return {
      type: "port",
      port: outside.port(`${scheme}://${host}:${port}`, host, port, reached),
      states: outside.states,
      fixed: true,
      ...connectLimit(request),
    };
  }

  async #resolve(host: string): Promise<RequestTarget> {
    const { policy, outside } = this.#options;
    const known = this.#options.names().resolve(policy.namespace, host);
    if (known.type === "unknown") return lookupFailed(host, "dns-error");
    if (known.type === "addresses")
      return { type: "answer", value: { addresses: known.addresses } };
    const found = await outside.lookup(known.host);
    if (found.type === "failed") return lookupFailed(host, found.code);
    // Whoever asks is about to dial what is answered, which nobody looks at again.
    const usable = usableAddresses(host, found.addresses);
    if (usable.length === 0) return prohibited(host, found.addresses);
    return { type: "answer", value: { addresses: usable } };
  }
}

/**
 * What a pod that was granted `host` may reach of its addresses. Who may ask an address by its
 * number, or for localhost, was granted just that; any other name does not lead to the machine.
 */
function usableAddresses(host: string, addresses: readonly string[]): readonly string[] {
  if (host === "localhost" || addresses[0] === host) return addresses;
  return addresses.filter((ip) => !isMachineAddress(ip));
}

function prohibited(name: string, addresses: readonly string[]): RequestTarget {
  const message = `${name} leads to this machine itself (${addresses.join(", ")})`;
  return refused(403, message, "destination-ip-prohibited");
}

function connectLimit({ connectMs }: Forward): { readonly connectMs?: number } {
  return connectMs === undefined ? {} : { connectMs };
}

function lookupFailed(name: string, code: "dns-error" | "dns-timeout"): RequestTarget {
  if (code === "dns-timeout") return refused(504, `looking up ${name} took too long`, code);
  return refused(502, `${name} is not known: neither a Service nor a name outside`, code);
}

function refused(status: number, message: string, code: EgressErrorCode): RequestTarget {
  return { type: "refused", status, message, code };
}
