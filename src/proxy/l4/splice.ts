import type { Socket, SocketHandler } from "bun";
import { Outlet, type CancelTimer, type Clock } from "../../lib/index.ts";
import type { WayIn } from "../routing/way-in.ts";
import type { ServicePort } from "../routing/routing-table.ts";
import type { EndpointDial } from "../net/endpoint-dialer.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import { MAX_HOLDS, type Sleepers, type Waiting } from "../wake/sleepers.ts";
import type { ClientAffinity } from "./client-affinity.ts";

/** Endpoints tried for one connection. */
export const MAX_ATTEMPTS = 4;
/** An endpoint of another machine that takes no connection by then counts as one that refused. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** What all connections of the Service listeners share. */
export interface SpliceContext {
  readonly states: EndpointStates;
  readonly affinity: ClientAffinity;
  readonly dial: EndpointDial;
  readonly clock: Clock;
  readonly sleepers: Sleepers | undefined;
  readonly connections: Set<Splice>;
  /** The Service port as of now, for who comes this way; undefined once it is gone. */
  portOf(key: string, kind: WayIn): ServicePort | undefined;
}

/** One side of a splice, as its socket's events find it. */
export interface SpliceSide {
  readonly splice: Splice;
  readonly from: "client" | "endpoint";
}

/**
 * A client's connection to a Service joined to one to an endpoint: bytes pass as they come, either
 * side may end first, and a side that reads slowly slows the other down.
 */
export class Splice implements Waiting {
  readonly #context: SpliceContext;
  readonly #client: Socket<SpliceSide>;
  readonly #toClient: Outlet;
  readonly #portKey: string;
  readonly #kind: WayIn;
  readonly #tried = new Set<string>();
  #toEndpoint: Outlet | undefined;
  #endpointSocket: Socket<SpliceSide> | undefined;
  #endpoint: EndpointState | undefined;
  /** The attempt under way: what comes of earlier ones is too late. */
  #attemptSide: SpliceSide | undefined;
  #cancelTimeout: CancelTimer | undefined;
  #closed = false;
  #holds = 0;
  #cancelHold: (() => void) | undefined;

  constructor(
    context: SpliceContext,
    client: Socket<SpliceSide>,
    { portKey, kind }: { readonly portKey: string; readonly kind: WayIn },
  ) {
    this.#context = context;
    this.#client = client;
    this.#toClient = new Outlet(client);
    this.#portKey = portKey;
    this.#kind = kind;
  }

  /** Nothing is read from the client before an endpoint took the connection: none is lost. */
  start(): void {
    this.#context.connections.add(this);
    this.#client.pause();
    this.#attempt();
  }

  opened(side: SpliceSide, socket: Socket<SpliceSide>): void {
    if (side.from === "client") return;
    if (this.#closed || side !== this.#attemptSide) {
      socket.terminate();
      return;
    }
    this.#cancelTimeout?.();
    if (this.#endpoint !== undefined) this.#context.states.markAlive(this.#endpoint);
    this.#endpointSocket = socket;
    this.#toEndpoint = new Outlet(socket);
    this.#client.resume();
  }

  data(side: SpliceSide, chunk: Buffer): void {
    if (side.from === "client") {
      if (this.#toEndpoint?.write(chunk) === false) this.#client.pause();
    } else if (!this.#toClient.write(chunk)) {
      this.#endpointSocket?.pause();
    }
  }

  drained(side: SpliceSide): void {
    if (side.from === "client") {
      if (this.#toClient.flush()) this.#endpointSocket?.resume();
    } else if (this.#toEndpoint?.flush() === true) {
      this.#client.resume();
    }
  }

  ended(side: SpliceSide): void {
    if (side.from === "client") this.#toEndpoint?.finish();
    else this.#toClient.finish();
  }

  closedBy(side: SpliceSide, error: Error | undefined): void {
    if (this.#closed) return;
    if (side.from === "endpoint" && side !== this.#attemptSide) return;
    if (side.from === "endpoint" && this.#endpointSocket === undefined) {
      this.#refused();
      return;
    }
    this.#close();
    if (side.from === "client") this.#endpointSocket?.terminate();
    else if (error === undefined) this.#toClient.finishAndClose();
    else this.#client.terminate();
  }

  /** Cuts both sides. */
  cut(): void {
    this.#close();
    this.#client.terminate();
    this.#endpointSocket?.terminate();
  }

  #attempt(): void {
    const { states, affinity, dial, clock } = this.#context;
    const port = this.#context.portOf(this.#portKey, this.#kind);
    const usable = port !== undefined && this.#tried.size < MAX_ATTEMPTS;
    const address = this.#client.remoteAddress;
    const state = usable
      ? (affinity.recall(port, address, this.#tried) ?? states.choose(port, this.#tried))
      : undefined;
    if (port === undefined || state === undefined) {
      if (port !== undefined && this.#waits(port)) return;
      // A reset is what a client sees of a Service that nobody serves.
      this.#close();
      this.#client.terminate();
      return;
    }
    affinity.remember(port, address, state);
    this.#endpoint = state;
    states.begin(state);
    const side: SpliceSide = { splice: this, from: "endpoint" };
    this.#attemptSide = side;
    const distance = dial(state.endpoint, side, SPLICE_HANDLER);
    if (distance === "near") return;
    this.#cancelTimeout = clock.after(CONNECT_TIMEOUT_MS, () => this.#refused());
  }

  /** Waits for a Deployment that sleeps. Nothing was read from the client yet. */
  #waits(port: ServicePort): boolean {
    if (this.#holds++ >= MAX_HOLDS) return false;
    const result = this.#context.sleepers?.hold(port, 0, this);
    if (result?.type !== "held") return false;
    this.#cancelHold = result.cancel;
    return true;
  }

  onReady(): void {
    this.#tried.clear();
    this.#attempt();
  }

  onLate(): void {
    this.cut();
  }

  #refused(): void {
    this.#attemptSide = undefined;
    this.#cancelTimeout?.();
    const state = this.#endpoint;
    if (state !== undefined) {
      this.#context.states.markFailed(state);
      this.#tried.add(state.endpoint.key);
    }
    this.#leave();
    this.#attempt();
  }

  #leave(): void {
    if (this.#endpoint !== undefined) this.#context.states.end(this.#endpoint);
    this.#endpoint = undefined;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelHold?.();
    this.#cancelTimeout?.();
    this.#leave();
    this.#context.connections.delete(this);
  }
}

/** One set of callbacks for both sides of every splice. */
export const SPLICE_HANDLER: SocketHandler<SpliceSide> = {
  open: (socket) => socket.data.splice.opened(socket.data, socket),
  data: (socket, chunk) => socket.data.splice.data(socket.data, chunk),
  drain: (socket) => socket.data.splice.drained(socket.data),
  end: (socket) => socket.data.splice.ended(socket.data),
  close: (socket, error) => socket.data.splice.closedBy(socket.data, error),
  error: (socket) => socket.terminate(),
  // Bun may tell this before Bun.connect returned, when nobody is ready to hear it.
  connectError: (socket, error) =>
    queueMicrotask(() => socket.data.splice.closedBy(socket.data, error)),
};
