import { ReadySignal } from "../io/ready-signal.ts";
import { Resource } from "../io/resource.ts";
import {
  formatIp,
  ipOf,
  isUnicast,
  isUnspecified,
  type AddressFamily,
  type IpSocketAddress,
} from "./ip-address.ts";
import { NetworkError, type SocketContext } from "./network.ts";
import type { SocketOptions } from "./socket-options.ts";

/** What sockets of both kinds have in common. */
export abstract class IpSocket<Options extends SocketOptions> extends Resource {
  protected readonly context: SocketContext;
  protected readonly family: AddressFamily;
  protected readonly options: Options;
  protected readonly signal = new ReadySignal();

  /** Throws new-socket-limit. */
  constructor(context: SocketContext, family: AddressFamily, options: Options) {
    context.enter();
    super(context.instance.scope);
    this.context = context;
    this.family = family;
    this.options = options;
  }

  addressFamily(): AddressFamily {
    return this.family;
  }

  receiveBufferSize(): bigint {
    return this.options.receiveBufferSize;
  }

  setReceiveBufferSize(value: bigint): void {
    this.options.receiveBufferSize = value;
  }

  sendBufferSize(): bigint {
    return this.options.sendBufferSize;
  }

  setSendBufferSize(value: bigint): void {
    this.options.sendBufferSize = value;
  }

  /** The system chooses address and port: nobody is told where they are. */
  protected isAnyAddress(local: IpSocketAddress): boolean {
    return isUnspecified(ipOf(local)) && local.val.port === 0;
  }

  /** Throws invalid-argument, or access-denied for whom the pod may not talk to. */
  protected checkRemote(scheme: "tcp" | "udp", remote: IpSocketAddress): string {
    const ip = ipOf(remote);
    const { port } = remote.val;
    if (remote.tag !== this.family || port === 0 || !isUnicast(ip)) {
      throw new NetworkError("invalid-argument");
    }
    const address = formatIp(ip);
    this.context.require(scheme, address, port);
    return address;
  }

  protected override released(): void {
    this.context.leave();
  }
}
