import { InputStream } from "../io/input-stream.ts";
import { OutputStream } from "../io/output-stream.ts";
import { Pollable } from "../io/pollable.ts";
import { ByteSocket } from "./byte-socket.ts";
import {
  formatIp,
  ipOf,
  isUnspecified,
  parseIp,
  socketAddress,
  type AddressFamily,
  type IpSocketAddress,
} from "./ip-address.ts";
import { IpSocket } from "./ip-socket.ts";
import {
  NetworkError,
  networkErrorCode,
  type Network,
  type NetworkErrorCode,
  type SocketContext,
} from "./network.ts";
import type { PortListener } from "./port-listeners.ts";
import { positive, TcpOptions } from "./socket-options.ts";

type State =
  | { readonly kind: "unbound" }
  | { readonly kind: "bind-started" | "bound"; readonly binding: Binding | undefined }
  | { readonly kind: "listen-started" | "listening"; readonly binding: Binding }
  | { readonly kind: "connecting"; readonly remote: IpSocketAddress }
  | { readonly kind: "dialled"; readonly remote: IpSocketAddress; readonly socket: ByteSocket }
  | ({ readonly kind: "connected"; readonly socket: ByteSocket } & Ends)
  | { readonly kind: "failed"; readonly code: NetworkErrorCode }
  | { readonly kind: "closed" };

/** Of a connection; where it has no local address of its own, `local` is what stands for it. */
interface Ends {
  readonly remote: IpSocketAddress;
  readonly local?: IpSocketAddress;
}

/** Where a socket is bound; without one the system chooses. */
interface Binding {
  readonly local: IpSocketAddress;
  readonly listener: PortListener;
}

/** Who connected over a Unix socket has no address. */
const LOCAL_PEER = "127.0.0.1";

/**
 * The resource `tcp-socket`: it dials what the pod was granted, and listens on the ports that the
 * container's spec names.
 */
export class TcpSocket extends IpSocket<TcpOptions> {
  #state: State = { kind: "unbound" };

  /** Throws new-socket-limit. */
  constructor(context: SocketContext, family: AddressFamily) {
    super(context, family, new TcpOptions());
  }

  /** A port of the container's, or none: then the system chooses, for a socket that dials. */
  startBind(_network: Network, local: IpSocketAddress): void {
    if (local.tag !== this.family) throw new NetworkError("invalid-argument");
    if (this.#state.kind !== "unbound") throw new NetworkError("invalid-state");
    const binding = this.isAnyAddress(local) ? undefined : this.#claim(local);
    this.#state = { kind: "bind-started", binding };
  }

  finishBind(): void {
    const state = this.#state;
    if (state.kind !== "bind-started") throw new NetworkError("not-in-progress");
    this.#state = { kind: "bound", binding: state.binding };
  }

  startConnect(_network: Network, remote: IpSocketAddress): void {
    if (this.#state.kind === "connecting") throw new NetworkError("concurrency-conflict");
    const bound = this.#state.kind === "bound" && this.#state.binding === undefined;
    if (this.#state.kind !== "unbound" && !bound) throw new NetworkError("invalid-state");
    const address = this.checkRemote("tcp", remote);
    this.#state = { kind: "connecting", remote };
    ByteSocket.connect(address, remote.val.port).then(
      (socket) => {
        if (this.#state.kind !== "connecting") return socket.close();
        this.#become({ kind: "dialled", remote, socket });
      },
      (error: unknown) => {
        if (this.#state.kind !== "connecting") return;
        this.#become({ kind: "failed", code: networkErrorCode(error) });
      },
    );
  }

  finishConnect(): [InputStream, OutputStream] {
    const state = this.#state;
    if (state.kind === "connecting") throw new NetworkError("would-block");
    if (state.kind === "failed") {
      this.#state = { kind: "closed" };
      throw new NetworkError(state.code);
    }
    if (state.kind !== "dialled") throw new NetworkError("not-in-progress");
    const { socket, remote } = state;
    return this.#connect(socket, { remote });
  }

  startListen(): void {
    const state = this.#state;
    if (state.kind !== "bound") throw new NetworkError("invalid-state");
    const { binding } = state;
    if (binding === undefined) {
      this.context.denyPort(0);
      throw new NetworkError("access-denied");
    }
    this.#state = { kind: "listen-started", binding };
  }

  finishListen(): void {
    const state = this.#state;
    if (state.kind !== "listen-started") throw new NetworkError("not-in-progress");
    this.#state = { kind: "listening", binding: state.binding };
  }

  /** Throws would-block when nobody waits, new-socket-limit when there are too many. */
  accept(): [TcpSocket, InputStream, OutputStream] {
    const state = this.#state;
    if (state.kind !== "listening") throw new NetworkError("invalid-state");
    const { listener } = state.binding;
    if (listener.pending === 0) throw new NetworkError("would-block");
    const made = new TcpSocket(this.context, this.family);
    const socket = listener.accept();
    if (socket === undefined) throw new NetworkError("would-block");
    const remote =
      socketAddress(socket.remoteAddress, socket.remotePort) ?? socketAddress(LOCAL_PEER, 0);
    if (remote === undefined) throw new NetworkError("unknown");
    return [made, ...made.#connect(socket, { remote, local: state.binding.local })];
  }

  localAddress(): IpSocketAddress {
    const state = this.#state;
    if ("binding" in state && state.binding !== undefined && state.kind !== "bind-started") {
      return state.binding.local;
    }
    const { socket, local } = this.#connected();
    const address = socketAddress(socket.localAddress, socket.localPort) ?? local;
    if (address === undefined) throw new NetworkError("unknown");
    return address;
  }

  remoteAddress(): IpSocketAddress {
    return this.#connected().remote;
  }

  isListening(): boolean {
    return this.#state.kind === "listening";
  }

  setListenBacklogSize(value: bigint): void {
    positive(value);
    if (this.#state.kind === "connected") throw new NetworkError("invalid-state");
  }

  keepAliveEnabled(): boolean {
    return this.options.keepAlive;
  }

  setKeepAliveEnabled(value: boolean): void {
    this.options.keepAlive = value;
    this.#applyKeepAlive();
  }

  keepAliveIdleTime(): bigint {
    return this.options.idleNs;
  }

  setKeepAliveIdleTime(value: bigint): void {
    this.options.idleNs = value;
    this.#applyKeepAlive();
  }

  keepAliveInterval(): bigint {
    return this.options.intervalNs;
  }

  setKeepAliveInterval(value: bigint): void {
    this.options.intervalNs = value;
  }

  keepAliveCount(): number {
    return this.options.count;
  }

  setKeepAliveCount(value: number): void {
    this.options.count = value;
  }

  hopLimit(): number {
    return this.options.hopLimit;
  }

  setHopLimit(value: number): void {
    this.options.hopLimit = value;
  }

  /** Ready when what was started is done, or when somebody waits to be accepted. */
  subscribe(): Pollable {
    const source = {
      ready: () => {
        const state = this.#state;
        if (state.kind === "listening") return state.binding.listener.pending > 0;
        return state.kind !== "connecting";
      },
      watch: (callback: () => void) => {
        const state = this.#state;
        const signal = state.kind === "listening" ? state.binding.listener.readable : this.signal;
        return signal.watch(callback);
      },
    };
    return new Pollable(this.scope, source, this);
  }

  shutdown(type: "receive" | "send" | "both"): void {
    if (this.#state.kind !== "connected") throw new NetworkError("invalid-state");
    this.#state.socket.shutdown(type);
  }

  protected override released(): void {
    const state = this.#state;
    if (state.kind === "dialled" || state.kind === "connected") state.socket.close();
    if ("binding" in state && state.binding !== undefined) state.binding.listener.claimed = false;
    this.#become({ kind: "closed" });
    super.released();
  }

  /** Throws address-not-bindable, address-in-use, or access-denied for a port nobody named. */
  #claim(local: IpSocketAddress): Binding {
    const ip = ipOf(local);
    const { port } = local.val;
    const listener = this.context.instance.options.listeners?.at(port);
    if (listener === undefined) {
      this.context.denyPort(port);
      throw new NetworkError("access-denied");
    }
    const own = parseIp(listener.port.address ?? LOCAL_PEER);
    const bindable = isUnspecified(ip) || (own !== undefined && formatIp(own) === formatIp(ip));
    if (!bindable) throw new NetworkError("address-not-bindable");
    if (listener.claimed) throw new NetworkError("address-in-use");
    listener.claimed = true;
    return { local, listener };
  }

  #connect(socket: ByteSocket, ends: Ends): [InputStream, OutputStream] {
    const input = new InputStream(this.scope, socket.input, this);
    const output = new OutputStream(this.scope, socket.output, this);
    this.#state = { kind: "connected", socket, ...ends };
    this.#applyKeepAlive();
    return [input, output];
  }

  #connected() {
    if (this.#state.kind !== "connected") throw new NetworkError("invalid-state");
    return this.#state;
  }

  #applyKeepAlive(): void {
    if (this.#state.kind !== "connected") return;
    const { keepAlive, idleNs } = this.options;
    this.#state.socket.setKeepAlive(keepAlive ? Number(idleNs / 1_000_000n) : undefined);
  }

  #become(state: State): void {
    this.#state = state;
    this.signal.notify();
  }
}
