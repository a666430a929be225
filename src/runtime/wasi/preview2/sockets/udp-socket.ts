import { GuestTrap } from "../io/guest-error.ts";
import { Pollable } from "../io/pollable.ts";
import type { Resource } from "../io/resource.ts";
import { DatagramPort } from "./datagram-port.ts";
import { socketAddress, type AddressFamily, type IpSocketAddress } from "./ip-address.ts";
import { IpSocket } from "./ip-socket.ts";
import {
  NetworkError,
  networkErrorCode,
  type Network,
  type NetworkErrorCode,
  type SocketContext,
} from "./network.ts";
import { SocketOptions } from "./socket-options.ts";
import { IncomingDatagramStream, OutgoingDatagramStream } from "./datagram-streams.ts";

type State =
  | { readonly kind: "unbound" | "binding" | "closed" }
  | { readonly kind: "failed"; readonly code: NetworkErrorCode }
  | { readonly kind: "opened" | "bound"; readonly port: DatagramPort };

/** The resource `udp-socket`: it talks with whom the pod was granted. */
export class UdpSocket extends IpSocket<SocketOptions> {
  #state: State = { kind: "unbound" };
  #remote: IpSocketAddress | undefined;
  #streams: readonly Resource[] = [];

  /** Throws new-socket-limit. */
  constructor(context: SocketContext, family: AddressFamily) {
    super(context, family, new SocketOptions());
  }

  /** The system chooses the port: only port 0 of an unspecified address can be bound. */
  startBind(_network: Network, local: IpSocketAddress): void {
    if (local.tag !== this.family) throw new NetworkError("invalid-argument");
    if (this.#state.kind === "binding") throw new NetworkError("concurrency-conflict");
    if (this.#state.kind !== "unbound") throw new NetworkError("invalid-state");
    if (!this.isAnyAddress(local)) throw new NetworkError("access-denied");
    this.#state = { kind: "binding" };
    const may = (address: string, port: number) => this.context.allows("udp", address, port);
    DatagramPort.open(this.family, may).then(
      (port) => {
        if (this.#state.kind === "binding") this.#become({ kind: "opened", port });
        else port.close();
      },
      (error: unknown) => {
        if (this.#state.kind !== "binding") return;
        this.#become({ kind: "failed", code: networkErrorCode(error) });
      },
    );
  }

  finishBind(): void {
    const state = this.#state;
    if (state.kind === "binding") throw new NetworkError("would-block");
    if (state.kind === "failed") {
      this.#state = { kind: "unbound" };
      throw new NetworkError(state.code);
    }
    if (state.kind !== "opened") throw new NetworkError("not-in-progress");
    this.#state = { kind: "bound", port: state.port };
  }

  stream(remote: IpSocketAddress | undefined): [IncomingDatagramStream, OutgoingDatagramStream] {
    const port = this.#bound();
    if (this.#streams.some(({ live }) => live)) {
      throw new GuestTrap("the streams of a udp-socket were asked for while former ones are alive");
    }
    if (remote !== undefined) this.checkRemote("udp", remote);
    this.#remote = remote;
    const incoming = new IncomingDatagramStream(this, port, remote);
    const outgoing = new OutgoingDatagramStream(this, port, {
      remote,
      check: (address) => this.checkRemote("udp", address),
    });
    this.#streams = [incoming, outgoing];
    return [incoming, outgoing];
  }

  localAddress(): IpSocketAddress {
    const port = this.#bound();
    const address = socketAddress(port.address, port.number);
    if (address === undefined) throw new NetworkError("unknown");
    return address;
  }

  remoteAddress(): IpSocketAddress {
    if (this.#remote === undefined) throw new NetworkError("invalid-state");
    return this.#remote;
  }

  unicastHopLimit(): number {
    return this.options.hopLimit;
  }

  setUnicastHopLimit(value: number): void {
    this.options.hopLimit = value;
  }

  subscribe(): Pollable {
    const source = {
      ready: () => this.#state.kind !== "binding",
      watch: (callback: () => void) => this.signal.watch(callback),
    };
    return new Pollable(this.scope, source, this);
  }

  protected override released(): void {
    const state = this.#state;
    if (state.kind === "opened" || state.kind === "bound") state.port.close();
    this.#become({ kind: "closed" });
    super.released();
  }

  #bound(): DatagramPort {
    if (this.#state.kind !== "bound") throw new NetworkError("invalid-state");
    return this.#state.port;
  }

  #become(state: State): void {
    this.#state = state;
    this.signal.notify();
  }
}
