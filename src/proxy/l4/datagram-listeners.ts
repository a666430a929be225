import { sharedDatagramPort, type CancelTimer, type Clock, type Logger } from "../../lib/index.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import { portFor, type WayIn } from "../routing/way-in.ts";
import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";
import { ClientAffinity } from "./client-affinity.ts";
import { desiredListeners, type ListenerAddresses, type ListenerSpec } from "./listener-plan.ts";
import { BIND_RETRY_MS, bindMessage, versionOf, type BindFailure } from "./service-listeners.ts";
import { isAllowedSource } from "./source-ranges.ts";

/** Clients of UDP Services remembered at a time; the one silent for longest is forgotten. */
export const MAX_FLOWS = 4_096;
/** After this silence a client's next datagram may go to another endpoint. */
export const FLOW_IDLE_MS = 60_000;
const SWEEP_INTERVAL_MS = 5_000;
const NOTHING_TRIED: ReadonlySet<string> = new Set();

type UdpListener = Bun.udp.Socket<"buffer">;
type UdpFlow = Bun.udp.ConnectedSocket<"buffer">;

export interface DatagramListenersOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly states: EndpointStates;
  readonly addresses: ListenerAddresses;
  readonly onBindFailure: (failure: BindFailure) => void;
  readonly maxFlows?: number;
  /** Whether another process listens there too, which is about to leave. */
  readonly sharesPorts?: () => boolean;
}

interface Bound {
  portKey: string;
  kind: WayIn;
  /** For which version of the Service port it was asked. */
  readonly version: string;
  /** Undefined while it is being made, or when it could not be. */
  socket: UdpListener | undefined;
  failed: boolean;
  closed: boolean;
}

interface Flow {
  readonly bound: Bound;
  readonly endpoint: EndpointState;
  lastMs: number;
  /** Undefined while it is being made: what comes meanwhile waits. */
  socket: UdpFlow | undefined;
  waiting: Buffer[];
}

/** Datagrams that wait for the first moment of a flow; UDP may lose what comes above. */
const MAX_WAITING = 16;

/**
 * Listens on the UDP ports of Services. The datagrams of one client (address and port) go to one
 * endpoint, and what that answers goes back, until nothing was heard of either for a while.
 */
export class DatagramListeners {
  readonly #options: DatagramListenersOptions;
  readonly #affinity: ClientAffinity;
  readonly #bound = new Map<string, Bound>();
  /** By listener, client address and port; insertion order is the order of last use. */
  readonly #flows = new Map<string, Flow>();
  #table: RoutingTable | undefined;
  #cancelSweep: CancelTimer | undefined;
  #cancelRetry: CancelTimer | undefined;

  constructor(options: DatagramListenersOptions) {
    this.#options = options;
    this.#affinity = new ClientAffinity(options.clock, options.states);
  }

  get counts(): { readonly listeners: number; readonly flows: number } {
    return { listeners: this.#bound.size, flows: this.#flows.size };
  }

  /** Opens and closes listeners; flows to endpoints that left the table end at once. */
  update(table: RoutingTable): void {
    this.#table = table;
    const desired = desiredListeners(table, "UDP", this.#options.addresses);
    for (const [key, bound] of this.#bound) {
      const spec = desired.get(key);
      if (spec === undefined) this.#unbind(key, bound);
      else if (bound.failed && bound.version !== versionOf(spec.servicePort)) {
        this.#unbind(key, bound);
      } else Object.assign(bound, { portKey: spec.servicePort.key, kind: spec.kind });
    }
    for (const [key, flow] of this.#flows) {
      if (flow.endpoint.retired || !this.#leadsTo(flow)) this.#endFlow(key, flow);
    }
    for (const spec of desired.values()) if (!this.#bound.has(spec.key)) this.#bind(spec);
  }

  close(): void {
    this.#cancelSweep?.();
    this.#cancelRetry?.();
    for (const [key, flow] of this.#flows) this.#endFlow(key, flow);
    for (const [key, bound] of this.#bound) this.#unbind(key, bound);
  }

  /** Whether what the Service asks for cannot be had here. */
  failedFor(namespace: string, service: string): boolean {
    const prefix = `${namespace}/${service}:`;
    return [...this.#bound.values()].some(
      ({ failed, portKey }) => failed && portKey.startsWith(prefix),
    );
  }

  #leadsTo({ bound, endpoint }: Flow): boolean {
    const port = this.#portOf(bound);
    return port?.endpoints.some(({ key }) => key === endpoint.endpoint.key) === true;
  }

  #portOf({ portKey, kind }: Bound): ServicePort | undefined {
    const port = this.#table?.ports.get(portKey);
    return port === undefined ? undefined : portFor(port, kind);
  }

  #bind(spec: ListenerSpec): void {
    const version = versionOf(spec.servicePort);
    const bound: Bound = {
      portKey: spec.servicePort.key,
      kind: spec.kind,
      version,
      socket: undefined,
      failed: false,
      closed: false,
    };
    this.#bound.set(spec.key, bound);
    void this.#open(spec, bound);
  }

  async #open(spec: ListenerSpec, bound: Bound): Promise<void> {
    try {
      const socket = await Bun.udpSocket({
        hostname: spec.address,
        port: spec.port,
        ...sharedDatagramPort({ shares: this.#options.sharesPorts?.() === true }),
        socket: {
          data: (_socket, data, port, address) =>
            this.#received({ key: spec.key, bound }, { data, port, address }),
        },
      });
      if (bound.closed) socket.close();
      else bound.socket = socket;
    } catch (error) {
      if (bound.closed) return;
      const told = bound.failed;
      bound.failed = true;
      if (!told) this.#options.onBindFailure({ spec, message: bindMessage(spec, error) });
      this.#retryLater(spec, bound);
    }
  }

  /** The address may become free, as when the proxy of another node on this machine ends. */
  #retryLater(spec: ListenerSpec, bound: Bound): void {
    const { clock } = this.#options;
    this.#cancelRetry = clock.after(BIND_RETRY_MS, () => {
      if (!bound.closed) void this.#open(spec, bound);
    });
  }

  #unbind(key: string, bound: Bound): void {
    bound.closed = true;
    bound.socket?.close();
    this.#bound.delete(key);
    for (const [flowKey, flow] of this.#flows)
      if (flow.bound === bound) this.#endFlow(flowKey, flow);
  }

  #received(
    { key, bound }: { readonly key: string; readonly bound: Bound },
    from: { readonly data: Buffer; readonly port: number; readonly address: string },
  ): void {
    const flowKey = `${key} ${from.address}:${from.port}`;
    const flow = this.#flows.get(flowKey) ?? this.#begin(flowKey, bound, from);
    if (flow === undefined) return;
    flow.lastMs = this.#options.clock.monotonic();
    this.#flows.delete(flowKey);
    this.#flows.set(flowKey, flow);
    if (flow.socket !== undefined) flow.socket.send(from.data);
    // Bun uses the buffer again.
    else if (flow.waiting.length < MAX_WAITING) flow.waiting.push(Buffer.from(from.data));
  }

  #begin(
    flowKey: string,
    bound: Bound,
    { port, address }: { readonly port: number; readonly address: string },
  ): Flow | undefined {
    const { states, maxFlows = MAX_FLOWS } = this.#options;
    const servicePort = this.#portOf(bound);
    if (servicePort === undefined) return undefined;
    const ranges = bound.kind === "LoadBalancer" ? servicePort.sourceRanges : undefined;
    if (!isAllowedSource(ranges, address)) return undefined;
    const endpoint =
      this.#affinity.recall(servicePort, address, NOTHING_TRIED) ??
      states.choose(servicePort, NOTHING_TRIED);
    if (endpoint === undefined) return undefined;
    this.#affinity.remember(servicePort, address, endpoint);
    for (const [oldest, flow] of this.#flows) {
      if (this.#flows.size < maxFlows) break;
      this.#endFlow(oldest, flow);
    }
    const flow: Flow = { bound, endpoint, lastMs: 0, socket: undefined, waiting: [] };
    states.begin(endpoint);
    this.#flows.set(flowKey, flow);
    this.#sweepLater();
    void this.#connect(flowKey, flow, (data) => bound.socket?.send(data, port, address));
    return flow;
  }

  async #connect(
    flowKey: string,
    flow: Flow,
    answer: (data: Buffer) => boolean | undefined,
  ): Promise<void> {
    const { ip, port } = flow.endpoint.endpoint;
    const { states, clock, logger } = this.#options;
    try {
      const socket = await Bun.udpSocket({
        connect: { hostname: ip, port },
        socket: {
          data: (_socket, data) => {
            flow.lastMs = clock.monotonic();
            answer(data);
          },
          // Nobody listens there: the next datagram is for another endpoint.
          error: () => {
            states.markFailed(flow.endpoint);
            this.#endFlow(flowKey, flow);
          },
        },
      });
      if (this.#flows.get(flowKey) !== flow) {
        socket.close();
        return;
      }
      flow.socket = socket;
      for (const data of flow.waiting.splice(0)) socket.send(data);
    } catch (error) {
      logger.debug("a datagram could not be passed on", { ip, port, error: String(error) });
      this.#endFlow(flowKey, flow);
    }
  }

  #endFlow(key: string, flow: Flow): void {
    if (this.#flows.get(key) !== flow) return;
    this.#flows.delete(key);
    this.#options.states.end(flow.endpoint);
    flow.socket?.close();
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== undefined || this.#flows.size === 0) return;
    this.#cancelSweep = this.#options.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#cancelSweep = undefined;
      const untilMs = this.#options.clock.monotonic() - FLOW_IDLE_MS;
      for (const [key, flow] of this.#flows) if (flow.lastMs < untilMs) this.#endFlow(key, flow);
      this.#sweepLater();
    });
  }
}
