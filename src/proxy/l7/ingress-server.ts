import type { Socket, TCPSocketListener } from "bun";
import type { CancelTimer, Clock, Logger } from "../../lib/index.ts";
import type { EndpointDial } from "../net/endpoint-dialer.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import { NO_RULES } from "../routing/ingress-rules.ts";
import type { RoutingTable } from "../routing/routing-table.ts";
import { ClientConnection, clientHandler } from "./client-connection.ts";
import { plainResponse } from "./head-writer.ts";
import {
  DEFAULT_TIMEOUTS,
  MAX_CLIENT_CONNECTIONS,
  SCRATCH_BYTES,
  type IngressContext,
  type IngressTimeouts,
} from "./ingress-context.ts";
import { UpstreamPool } from "./upstream-pool.ts";

const SWEEP_INTERVAL_MS = 1_000;

export interface IngressServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly states: EndpointStates;
  readonly dial: EndpointDial;
  readonly timeouts?: Partial<IngressTimeouts>;
  readonly maxConnections?: number;
}

/** Serves HTTP/1.1 by the rules of the table it was given last. */
export class IngressServer {
  readonly #context: IngressContext;
  readonly #maxConnections: number;
  #listener: TCPSocketListener<ClientConnection> | undefined;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: IngressServerOptions) {
    this.#maxConnections = options.maxConnections ?? MAX_CLIENT_CONNECTIONS;
    this.#context = {
      table: { ports: new Map(), ingress: NO_RULES },
      closing: false,
      coarseNowMs: options.clock.monotonic(),
      clock: options.clock,
      logger: options.logger,
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      states: options.states,
      pool: new UpstreamPool(options.clock, options.dial),
      clients: new Set(),
      scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
    };
  }

  /** Connections now open: from clients, and to endpoints. */
  get connections(): { readonly clients: number; readonly upstreams: number } {
    return { clients: this.#context.clients.size, upstreams: this.#context.pool.size };
  }

  /** Answers the port; throws what Bun.listen throws when the address cannot be had. */
  listen(address: { hostname: string; port: number }): number {
    this.#listener = Bun.listen<ClientConnection>({
      ...address,
      allowHalfOpen: true,
      socket: clientHandler((socket) => this.#accept(socket)),
    });
    this.#scheduleSweep();
    return this.#listener.port;
  }

  /** Requests under way go on with the endpoint they have. */
  update(table: RoutingTable, retired: readonly EndpointState[]): void {
    this.#context.table = table;
    for (const state of retired) this.#context.pool.retire(state);
  }

  /** Requests under way. */
  get busy(): number {
    let count = 0;
    for (const client of this.#context.clients) if (client.busy) count++;
    return count;
  }

  /** Takes no new connection and lets each one end with the request it is at. */
  drain(): void {
    this.#context.closing = true;
    this.#listener?.stop(false);
    this.#listener = undefined;
    for (const client of this.#context.clients) if (!client.busy) client.cut();
  }

  /** Cuts what is left. */
  close(): void {
    this.drain();
    this.#cancelSweep?.();
    for (const client of this.#context.clients) client.cut();
    this.#context.pool.close();
  }

  #accept(socket: Socket<ClientConnection>): void {
    if (this.#context.clients.size >= this.#maxConnections) {
      const options = { method: "GET", close: true };
      socket.write(plainResponse(503, "too many connections", options));
      socket.end();
      return;
    }
    const client = new ClientConnection(this.#context, socket);
    socket.data = client;
    this.#context.clients.add(client);
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#context.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep();
      this.#scheduleSweep();
    });
  }

  #sweep(): void {
    const context = this.#context;
    context.coarseNowMs = context.clock.monotonic();
    for (const client of context.clients) client.sweep(context.coarseNowMs);
    context.pool.sweep(context.timeouts.connectMs);
  }
}
