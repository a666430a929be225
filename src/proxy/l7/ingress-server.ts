import type { TCPSocketListener } from "bun";
import type { RequestHead } from "../../lib/index.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import { routeRequest } from "../routing/request-route.ts";
import type { RoutingTable } from "../routing/routing-table.ts";
import { clientHandler, type ClientConnection } from "./client-connection.ts";
import { HttpFront, type HttpFrontOptions } from "./http-front.ts";
import type { Door, RequestRouter, RequestTarget } from "./request-target.ts";
import { listenWithTls, type TlsListener, type TlsListenerOptions } from "./tls-listener.ts";

export interface IngressServerOptions extends HttpFrontOptions {
  readonly states: EndpointStates;
}

/** Where to listen with TLS, and which certificates are shown there. */
export type IngressTlsOptions = Pick<
  TlsListenerOptions,
  "hostname" | "port" | "reusePort" | "fallback" | "contextOf"
>;

/** Serves HTTP/1.1 by the rules of the table it was given last, plain and through TLS. */
export class IngressServer {
  readonly #front: HttpFront;
  readonly #states: EndpointStates;
  #listener: TCPSocketListener<ClientConnection> | undefined;
  #tlsListener: TlsListener | undefined;

  constructor(options: IngressServerOptions) {
    this.#front = new HttpFront(options);
    this.#states = options.states;
  }

  /** Connections now open: from clients, and to endpoints. */
  get connections(): { readonly clients: number; readonly upstreams: number } {
    return this.#front.connections;
  }

  /** Answers the port; throws what Bun.listen throws when the address cannot be had. */
  listen(address: { hostname: string; port: number; reusePort?: boolean }): number {
    // Nobody is accepted before this function has returned.
    let router: RequestRouter = this.#router({ scheme: "http", port: address.port });
    this.#listener = Bun.listen<ClientConnection>({
      ...address,
      allowHalfOpen: true,
      socket: clientHandler((socket) => this.#front.accept(socket, router)),
    });
    const { port } = this.#listener;
    router = this.#router({ scheme: "http", port });
    this.#front.startSweeping();
    return port;
  }

  /** The same with TLS. Rejects when the address cannot be had. */
  async listenTls(options: IngressTlsOptions): Promise<number> {
    let router: RequestRouter = this.#router({ scheme: "https", port: options.port });
    this.#tlsListener = await listenWithTls({
      ...options,
      accept: (socket) => this.#front.accept(socket, router),
      maxConnections: this.#front.maxConnections,
    });
    const { port } = this.#tlsListener;
    router = this.#router({ scheme: "https", port });
    return port;
  }

  /** Requests under way go on with the endpoint they have. */
  update(table: RoutingTable, retired: readonly EndpointState[]): void {
    this.#front.update(table);
    this.#front.forget(retired);
  }

  /** Requests under way. */
  get busy(): number {
    return this.#front.busy;
  }

  /** The answers from now on end their connections, also of who still comes. */
  retire(): void {
    this.#front.retire();
  }

  /** Takes no new connection; nothing is cut. */
  stopListening(): void {
    this.#listener?.stop(false);
    this.#listener = undefined;
    this.#tlsListener?.stop();
    this.#tlsListener = undefined;
  }

  /** Takes no new connection and lets each one end with the request it is at. */
  drain(): void {
    this.stopListening();
    this.#front.drain();
  }

  /** Cuts what is left. */
  close(): void {
    this.drain();
    this.#front.close();
  }

  #router(door: Door): RequestRouter {
    return { side: "ingress", door, route: (head) => this.#route(head) };
  }

  #route(head: RequestHead): RequestTarget {
    const route = routeRequest(this.#front.table, head.host, head.target);
    switch (route.type) {
      case "no-rule":
        return refusal(404, "no Ingress rule matches this host and path");
      case "no-service": {
        const { ingress, namespace, service, port } = route.backend;
        const name = `${namespace}/${service}`;
        return refusal(503, `Ingress ${ingress}: Service ${name} has no port ${port}`);
      }
      case "port":
        return { type: "port", port: route.port, states: this.#states };
    }
  }
}

function refusal(status: number, message: string): RequestTarget {
  return { type: "refused", status, message };
}
