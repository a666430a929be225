import type { CancelTimer, Clock, Logger } from "../../lib/index.ts";
import type { EndpointDial } from "../net/endpoint-dialer.ts";
import type { EndpointState } from "../net/endpoint-states.ts";
import { NO_RULES } from "../routing/ingress-rules.ts";
import type { RoutingTable } from "../routing/routing-table.ts";
import type { Sleepers } from "../wake/sleepers.ts";
import { ClientConnection } from "./client-connection.ts";
import type { ClientSocket } from "./client-socket.ts";
import { plainResponse } from "./head-writer.ts";
import {
  DEFAULT_TIMEOUTS,
  MAX_CLIENT_CONNECTIONS,
  SCRATCH_BYTES,
  type HttpContext,
  type HttpTimeouts,
} from "./http-context.ts";
import type { RequestRouter } from "./request-target.ts";
import { UpstreamPool } from "./upstream-pool.ts";

const SWEEP_INTERVAL_MS = 1_000;

export interface HttpFrontOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dial: EndpointDial;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly maxConnections?: number;
  readonly sleepers?: Sleepers;
}

/** The connections of one or more listeners that speak HTTP/1.1, and of their endpoints. */
export class HttpFront {
  readonly #context: HttpContext;
  readonly #maxConnections: number;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: HttpFrontOptions) {
    this.#maxConnections = options.maxConnections ?? MAX_CLIENT_CONNECTIONS;
    this.#context = {
      table: { ports: new Map(), ingress: NO_RULES },
      closing: false,
      retiredMs: undefined,
      coarseNowMs: options.clock.monotonic(),
      clock: options.clock,
      logger: options.logger,
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      pool: new UpstreamPool(options.clock, options.dial),
      sleepers: options.sleepers,
      clients: new Set(),
      scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
    };
  }

  /** Connections now open: from clients, and to endpoints. */
  get connections(): { readonly clients: number; readonly upstreams: number } {
    return { clients: this.#context.clients.size, upstreams: this.#context.pool.size };
  }

  get maxConnections(): number {
    return this.#maxConnections;
  }

  get table(): RoutingTable {
    return this.#context.table;
  }

  /** Requests under way go on with the endpoint they have. */
  update(table: RoutingTable): void {
    this.#context.table = table;
  }

  /** Closes idle connections to endpoints that nothing leads to any more. */
  forget(states: readonly EndpointState[]): void {
    for (const state of states) this.#context.pool.retire(state);
  }

  /** Requests under way. */
  get busy(): number {
    let count = 0;
    for (const client of this.#context.clients) if (client.busy) count++;
    return count;
  }

  /** Takes the connection, whose requests the router leads; undefined when there are too many. */
  accept(
    socket: ClientSocket,
    router: RequestRouter,
    onGone?: () => void,
  ): ClientConnection | undefined {
    if (this.#context.clients.size >= this.#maxConnections) {
      refuseConnection(socket);
      return undefined;
    }
    const client = new ClientConnection(this.#context, socket, router, onGone);
    this.#context.clients.add(client);
    return client;
  }

  /** Watches over timeouts, and calls `also` about once a second, until it is closed. */
  startSweeping(also: () => void = () => undefined): void {
    this.#cancelSweep ??= this.#scheduleSweep(also);
  }

  /** Lets each connection end with its next answer, or when it is silent for a while. */
  retire(): void {
    this.#context.retiredMs ??= this.#context.clock.monotonic();
  }

  /** Lets each connection end with the request it is at. */
  drain(): void {
    this.#context.closing = true;
    for (const client of this.#context.clients) if (!client.busy) client.cut();
  }

  /** Cuts what is left. */
  close(): void {
    this.drain();
    this.#cancelSweep?.();
    for (const client of this.#context.clients) client.cut();
    this.#context.pool.close();
  }

  #scheduleSweep(also: () => void): CancelTimer {
    return this.#context.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep();
      also();
      this.#cancelSweep = this.#scheduleSweep(also);
    });
  }

  #sweep(): void {
    const context = this.#context;
    context.coarseNowMs = context.clock.monotonic();
    for (const client of context.clients) client.sweep(context.coarseNowMs);
    context.pool.sweep(context.timeouts.connectMs);
  }
}

/** Answers 503 to whatever the client is about to ask. */
export function refuseConnection(socket: ClientSocket): void {
  const code = "connection-limit-reached";
  const options = { method: "GET", close: true, code } as const;
  socket.write(plainResponse(503, "too many connections", options));
  socket.end();
}
