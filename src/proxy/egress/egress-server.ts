import { lookup } from "node:dns/promises";
import { renameSync, rmSync } from "node:fs";
import type { UnixSocketListener } from "bun";
import { clientHandler, type ClientConnection } from "../l7/client-connection.ts";
import type { ClientSocket } from "../l7/client-socket.ts";
import { HttpFront, refuseConnection, type HttpFrontOptions } from "../l7/http-front.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import type { TrafficCounts } from "../net/traffic-counts.ts";
import type { RoutingTable } from "../routing/routing-table.ts";
import { ClusterNames, type ClusterNamesOptions } from "./cluster-names.ts";
import { EgressRouter, type EgressPolicy } from "./egress-router.ts";
import { OutsideTargets, type NameResolver } from "./outside-targets.ts";

/** Connections that one pod's worker may have open; further ones are answered 503. */
export const MAX_CONNECTIONS_PER_POD = 1_024;

const MADE_SUFFIX = ".new";

/** A worker limits its own requests: these are for workers that do not. */
const EGRESS_TIMEOUTS = { responseMs: 600_000, idleMs: 300_000 };

export interface EgressServerOptions extends HttpFrontOptions, ClusterNamesOptions {
  readonly states: EndpointStates;
  /** The machine's resolver, unless a test has its own. */
  readonly resolve?: NameResolver;
  readonly maxConnectionsPerPod?: number;
  readonly traffic?: TrafficCounts;
}

/** Sends the HTTP requests of this node's pods on their way: one Unix socket for each pod. */
export class EgressServer {
  readonly #options: EgressServerOptions;
  readonly #front: HttpFront;
  readonly #outside: OutsideTargets;
  readonly #ready = Promise.withResolvers<void>();
  /** With the paths of their sockets. */
  readonly #listeners = new Map<UnixSocketListener<ClientConnection>, string>();
  #isReady = false;
  #names: ClusterNames;

  constructor(options: EgressServerOptions) {
    this.#options = options;
    const timeouts = { ...EGRESS_TIMEOUTS, ...options.timeouts };
    this.#front = new HttpFront({ ...options, timeouts });
    this.#names = new ClusterNames(this.#front.table, options);
    this.#outside = new OutsideTargets({
      clock: options.clock,
      resolve: options.resolve ?? machineResolver,
      ...(options.traffic === undefined ? {} : { traffic: options.traffic }),
      retire: (states) => this.#front.forget(states),
    });
  }

  /** Connections now open: from workers, and to what they ask. */
  get connections(): { readonly clients: number; readonly upstreams: number } {
    return this.#front.connections;
  }

  get busy(): number {
    return this.#front.busy;
  }

  /**
   * Listens on a Unix socket for the requests of one pod; a file that is there is replaced.
   * Throws what Bun.listen throws.
   */
  open(path: string, policy: EgressPolicy): { close(): void } {
    const router = new EgressRouter({
      ...this.#options,
      policy,
      outside: this.#outside,
      names: () => this.#currentNames(),
      ready: this.#ready.promise,
      isReady: () => this.#isReady,
    });
    const own = new Set<ClientConnection>();
    const limit = this.#options.maxConnectionsPerPod ?? MAX_CONNECTIONS_PER_POD;
    const accept = (socket: ClientSocket): ClientConnection | undefined => {
      if (own.size >= limit) {
        refuseConnection(socket);
        return undefined;
      }
      const client = this.#front.accept(socket, router, () => {
        if (client !== undefined) own.delete(client);
      });
      if (client !== undefined) own.add(client);
      return client;
    };
    // Renamed over what is there, so that a pod's next connection finds one or the other; and
    // Bun, which removes what it listened at, then removes nothing of a successor.
    const made = `${path}${MADE_SUFFIX}`;
    rmSync(made, { force: true });
    const listener = Bun.listen<ClientConnection>({
      unix: made,
      allowHalfOpen: true,
      socket: clientHandler(accept),
    });
    renameSync(made, path);
    this.#listeners.set(listener, path);
    this.#front.startSweeping();
    return {
      close: () => {
        if (!this.#listeners.delete(listener)) return;
        listener.stop(false);
        rmSync(path, { force: true });
        for (const client of own) client.cut();
      },
    };
  }

  /** Requests under way go on with the endpoint they have. */
  update(table: RoutingTable, retired: readonly EndpointState[]): void {
    this.#front.update(table);
    this.#front.forget(retired);
    this.#isReady = true;
    this.#ready.resolve();
  }

  /**
   * The answers from now on end their connections. A successor has taken the paths: the listeners
   * behind them are kept for who came before, and end with the process.
   */
  retire(): void {
    this.#listeners.clear();
    this.#front.retire();
  }

  /** Takes no new connection and lets each one end with the request it is at. */
  drain(): void {
    for (const [listener, path] of this.#listeners) {
      listener.stop(false);
      rmSync(path, { force: true });
    }
    this.#listeners.clear();
    this.#front.drain();
  }

  /** Cuts what is left. */
  close(): void {
    this.drain();
    this.#front.close();
  }

  /** Made when the first request after a change of the table comes. */
  #currentNames(): ClusterNames {
    const { table } = this.#front;
    if (this.#names.table !== table) this.#names = new ClusterNames(table, this.#options);
    return this.#names;
  }
}

async function machineResolver(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}
