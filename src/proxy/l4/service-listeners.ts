import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import { sharedPort, type CancelTimer, type Clock, type Logger } from "../../lib/index.ts";
import type { EndpointDial } from "../net/endpoint-dialer.ts";
import type { EndpointStates } from "../net/endpoint-states.ts";
import { portFor, type WayIn } from "../routing/way-in.ts";
import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";
import type { Sleepers } from "../wake/sleepers.ts";
import { ClientAffinity } from "./client-affinity.ts";
import { desiredListeners, type ListenerAddresses, type ListenerSpec } from "./listener-plan.ts";
import { isAllowedSource } from "./source-ranges.ts";
import { Splice, SPLICE_HANDLER, type SpliceContext, type SpliceSide } from "./splice.ts";

/** Connections through all Services together; further ones are reset. */
export const MAX_SPLICES = 20_000;

export interface BindFailure {
  readonly spec: ListenerSpec;
  /** A sentence for the Service's event. */
  readonly message: string;
}

export interface ServiceListenersOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly states: EndpointStates;
  readonly dial: EndpointDial;
  readonly addresses: ListenerAddresses;
  readonly onBindFailure: (failure: BindFailure) => void;
  readonly maxSplices?: number;
  readonly sleepers?: Sleepers;
  /** Whether another process listens there too, which is about to leave. */
  readonly sharesPorts?: () => boolean;
}

/** An address that somebody else holds is asked for again this often. */
export const BIND_RETRY_MS = 5_000;

interface Failed {
  readonly version: string;
  /** Another process has it, such as the proxy of another node on this machine: it may end. */
  readonly held: boolean;
}

interface Bound {
  readonly listener: TCPSocketListener<SpliceSide>;
  /** Looked at for each new connection, so that an address can change hands. */
  portKey: string;
  kind: WayIn;
}

/** Listens on the addresses of Services, and joins who connects to an endpoint. */
export class ServiceListeners {
  readonly #options: ServiceListenersOptions;
  readonly #context: SpliceContext;
  readonly #bound = new Map<string, Bound>();
  /** What could not be bound, and for which version of the Service port: told once for it. */
  readonly #failed = new Map<string, Failed>();
  #cancelRetry: CancelTimer | undefined;
  #table: RoutingTable | undefined;

  constructor(options: ServiceListenersOptions) {
    this.#options = options;
    this.#context = {
      states: options.states,
      affinity: new ClientAffinity(options.clock, options.states),
      dial: options.dial,
      clock: options.clock,
      sleepers: options.sleepers,
      connections: new Set(),
      portOf: (key, kind) => {
        const port = this.#table?.ports.get(key);
        return port === undefined ? undefined : portFor(port, kind);
      },
    };
  }

  /** Addresses listened on, and connections under way. */
  get counts(): { readonly listeners: number; readonly connections: number } {
    return { listeners: this.#bound.size, connections: this.#context.connections.size };
  }

  /** Opens and closes listeners for a new table. Connections under way are left alone. */
  update(table: RoutingTable): void {
    this.#table = table;
    const desired = desiredListeners(table, "TCP", this.#options.addresses);
    for (const [key, bound] of this.#bound) {
      if (desired.has(key)) continue;
      bound.listener.stop(false);
      this.#bound.delete(key);
    }
    for (const key of this.#failed.keys()) if (!desired.has(key)) this.#failed.delete(key);
    for (const spec of desired.values()) {
      const bound = this.#bound.get(spec.key);
      if (bound === undefined) this.#listen(spec);
      else Object.assign(bound, { portKey: spec.servicePort.key, kind: spec.kind });
    }
    this.#retryLater();
  }

  /** Whether what the Service asks for cannot be had here. */
  failedFor(namespace: string, service: string): boolean {
    const prefix = `${namespace}/${service}:`;
    return [...this.#failed.values()].some(({ version }) => version.startsWith(prefix));
  }

  /** Takes no new connection; those under way go on. */
  stopListening(): void {
    this.#cancelRetry?.();
    for (const { listener } of this.#bound.values()) listener.stop(false);
    this.#bound.clear();
  }

  close(): void {
    this.stopListening();
    for (const splice of this.#context.connections) splice.cut();
  }

  #listen(spec: ListenerSpec): void {
    const version = versionOf(spec.servicePort);
    const failed = this.#failed.get(spec.key);
    const told = failed?.version === version;
    if (told && !failed.held) return;
    try {
      const listener = Bun.listen<SpliceSide>({
        hostname: spec.address,
        port: spec.port,
        allowHalfOpen: true,
        ...sharedPort({ shares: this.#options.sharesPorts?.() === true }),
        socket: this.#handler(spec.key),
      });
      this.#bound.set(spec.key, { listener, portKey: spec.servicePort.key, kind: spec.kind });
      this.#failed.delete(spec.key);
    } catch (error) {
      this.#failed.set(spec.key, { version, held: codeOf(error) === "EADDRINUSE" });
      if (!told) this.#options.onBindFailure({ spec, message: bindMessage(spec, error) });
    }
  }

  #retryLater(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    if (![...this.#failed.values()].some(({ held }) => held)) return;
    this.#cancelRetry = this.#options.clock.after(BIND_RETRY_MS, () => {
      if (this.#table !== undefined) this.update(this.#table);
    });
  }

  #handler(key: string): SocketHandler<SpliceSide> {
    return { ...SPLICE_HANDLER, open: (socket) => this.#accept(key, socket) };
  }

  #accept(key: string, socket: Socket<SpliceSide>): void {
    const { portKey, kind } = this.#bound.get(key) ?? { portKey: "", kind: "ClusterIP" };
    const splice = new Splice(this.#context, socket, { portKey, kind });
    socket.data = { splice, from: "client" };
    const full = this.#context.connections.size >= (this.#options.maxSplices ?? MAX_SPLICES);
    const ranges =
      kind === "LoadBalancer" ? this.#table?.ports.get(portKey)?.sourceRanges : undefined;
    if (full || !isAllowedSource(ranges, socket.remoteAddress)) splice.cut();
    else splice.start();
  }
}

/** What of a Service port bears on binding: its endpoints come and go without a new try. */
export function versionOf(port: ServicePort): string {
  return `${port.key} ${port.name} ${port.clusterIp} ${port.nodePort}`;
}

export function bindMessage(spec: ListenerSpec, error: unknown): string {
  const code = codeOf(error);
  const place = `${spec.kind} ${spec.key}`;
  switch (code) {
    case "EACCES":
      return `${place} cannot be listened on: ports below 1024 need a privilege`;
    case "EADDRINUSE":
      return `${place} cannot be listened on: another process has it`;
    case "EADDRNOTAVAIL":
      return `${place} cannot be listened on: the address is not of this machine`;
    default:
      return `${place} cannot be listened on: ${code}`;
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
