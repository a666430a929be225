import { InputStream } from "../io/input-stream.ts";
import { OutputStream } from "../io/output-stream.ts";
import { Pollable } from "../io/pollable.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import { Resource } from "../io/resource.ts";
import { ByteSocket } from "./byte-socket.ts";
import {
  formatIp,
  ipOf,
  isUnicast,
  isUnspecified,
  socketAddress,
  type AddressFamily,
  type IpSocketAddress,
} from "./ip-address.ts";
import {
  NetworkError,
  networkErrorCode,
  type Network,
  type NetworkErrorCode,
  type SocketContext,
} from "./network.ts";
import { positive, TcpOptions } from "./socket-options.ts";

type State =
  | { readonly kind: "unbound" | "bind-started" | "bound" }
  | { readonly kind: "connecting"; readonly remote: IpSocketAddress }
  | { readonly kind: "dialled"; readonly remote: IpSocketAddress; readonly socket: ByteSocket }
  | { readonly kind: "connected"; readonly remote: IpSocketAddress; readonly socket: ByteSocket }
  | { readonly kind: "failed"; readonly code: NetworkErrorCode }
  | { readonly kind: "closed" };

/** The resource `tcp-socket`: it dials what the pod was granted, and does not listen. */
export class TcpSocket extends Resource {
  readonly #context: SocketContext;
  readonly #family: AddressFamily;
  readonly #options = new TcpOptions();
  readonly #signal = new ReadySignal();
  #state: State = { kind: "unbound" };

  /** Throws new-socket-limit. */
  constructor(context: SocketContext, family: AddressFamily) {
    context.enter();
    super(context.instance.scope);
    this.#context = context;
    this.#family = family;
  }

  /** The system chooses the address: only an unspecified one with port 0 can be bound. */
  startBind(_network: Network, local: IpSocketAddress): void {
    if (local.tag !== this.#family) throw new NetworkError("invalid-argument");
    if (this.#state.kind !== "unbound") throw new NetworkError("invalid-state");
    const bindable = isUnspecified(ipOf(local)) && local.val.port === 0;
    if (!bindable) throw new NetworkError("access-denied");
    this.#state = { kind: "bind-started" };
  }

  finishBind(): void {
    if (this.#state.kind !== "bind-started") throw new NetworkError("not-in-progress");
    this.#state = { kind: "bound" };
  }

  startConnect(_network: Network, remote: IpSocketAddress): void {
    if (this.#state.kind === "connecting") throw new NetworkError("concurrency-conflict");
    if (this.#state.kind !== "unbound" && this.#state.kind !== "bound") {
      throw new NetworkError("invalid-state");
    }
    const ip = ipOf(remote);
    const { port } = remote.val;
    if (remote.tag !== this.#family || port === 0 || !isUnicast(ip)) {
      throw new NetworkError("invalid-argument");
    }
    const address = formatIp(ip);
    this.#context.require("tcp", address, port);
    this.#state = { kind: "connecting", remote };
    ByteSocket.connect(address, port).then(
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
    const input = new InputStream(this.scope, socket.input, this);
    const output = new OutputStream(this.scope, socket.output, this);
    this.#state = { kind: "connected", socket, remote };
    this.#applyKeepAlive();
    return [input, output];
  }

  startListen(): never {
    const bound = this.#state.kind === "bound";
    throw new NetworkError(bound ? "not-supported" : "invalid-state");
  }

  finishListen(): never {
    throw new NetworkError("not-in-progress");
  }

  accept(): never {
    throw new NetworkError("invalid-state");
  }

  localAddress(): IpSocketAddress {
    const { socket } = this.#connected();
    const address = socketAddress(socket.localAddress, socket.localPort);
    if (address === undefined) throw new NetworkError("unknown");
    return address;
  }

  remoteAddress(): IpSocketAddress {
    return this.#connected().remote;
  }

  isListening(): boolean {
    return false;
  }

  addressFamily(): AddressFamily {
    return this.#family;
  }

  setListenBacklogSize(value: bigint): void {
    positive(value);
    if (this.#state.kind === "connected") throw new NetworkError("invalid-state");
  }

  keepAliveEnabled(): boolean {
    return this.#options.keepAlive;
  }

  setKeepAliveEnabled(value: boolean): void {
    this.#options.keepAlive = value;
    this.#applyKeepAlive();
  }

  keepAliveIdleTime(): bigint {
    return this.#options.idleNs;
  }

  setKeepAliveIdleTime(value: bigint): void {
    this.#options.idleNs = value;
    this.#applyKeepAlive();
  }

  keepAliveInterval(): bigint {
    return this.#options.intervalNs;
  }

  setKeepAliveInterval(value: bigint): void {
    this.#options.intervalNs = value;
  }

  keepAliveCount(): number {
    return this.#options.count;
  }

  setKeepAliveCount(value: number): void {
    this.#options.count = value;
  }

  hopLimit(): number {
    return this.#options.hopLimit;
  }

  setHopLimit(value: number): void {
    this.#options.hopLimit = value;
  }

  receiveBufferSize(): bigint {
    return this.#options.receiveBufferSize;
  }

  setReceiveBufferSize(value: bigint): void {
    this.#options.receiveBufferSize = value;
  }

  sendBufferSize(): bigint {
    return this.#options.sendBufferSize;
  }

  setSendBufferSize(value: bigint): void {
    this.#options.sendBufferSize = value;
  }

  subscribe(): Pollable {
    const source = {
      ready: () => this.#state.kind !== "connecting",
      watch: (callback: () => void) => this.#signal.watch(callback),
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
    this.#become({ kind: "closed" });
    this.#context.leave();
  }

  #connected() {
    if (this.#state.kind !== "connected") throw new NetworkError("invalid-state");
    return this.#state;
  }

  #applyKeepAlive(): void {
    if (this.#state.kind !== "connected") return;
    const { keepAlive, idleNs } = this.#options;
    this.#state.socket.setKeepAlive(keepAlive ? Number(idleNs / 1_000_000n) : undefined);
  }

  #become(state: State): void {
    this.#state = state;
    this.#signal.notify();
  }
}
