import { GuestTrap } from "../io/guest-error.ts";
import { clampLength } from "../io/input-stream.ts";
import { Pollable } from "../io/pollable.ts";
import { Resource } from "../io/resource.ts";
import type { DatagramPort, IncomingDatagram } from "./datagram-port.ts";
import { formatIp, ipOf, type IpSocketAddress } from "./ip-address.ts";
import { NetworkError, networkErrorCode } from "./network.ts";

/** Datagrams of one receive, and of one send. */
export const MAX_DATAGRAMS = 64;
/** What IPv4 can carry. */
export const MAX_DATAGRAM_BYTES = 65_507;

/** `outgoing-datagram` of wasi:sockets/udp. */
export interface OutgoingDatagram {
  readonly data: Uint8Array;
  readonly remoteAddress?: IpSocketAddress | undefined;
}

/** The resource `incoming-datagram-stream`. */
export class IncomingDatagramStream extends Resource {
  readonly #port: DatagramPort;
  readonly #remote: IpSocketAddress | undefined;

  constructor(socket: Resource, port: DatagramPort, remote: IpSocketAddress | undefined) {
    super(socket.scope, socket);
    this.#port = port;
    this.#remote = remote;
  }

  receive(maxResults: bigint): IncomingDatagram[] {
    const datagrams = this.#port.receive(clampLength(maxResults, MAX_DATAGRAMS));
    const remote = this.#remote;
    if (remote === undefined) return datagrams;
    return datagrams.filter(({ remoteAddress }) => isSame(remoteAddress, remote));
  }

  subscribe(): Pollable {
    const port = this.#port;
    const source = {
      ready: () => port.waiting > 0,
      watch: (callback: () => void) => port.readable.watch(callback),
    };
    return new Pollable(this.scope, source, this);
  }
}

/** The resource `outgoing-datagram-stream`. */
export class OutgoingDatagramStream extends Resource {
  readonly #port: DatagramPort;
  readonly #remote: IpSocketAddress | undefined;
  readonly #check: (remote: IpSocketAddress) => void;

  /** `check` throws what the guest is told about a remote it must not talk to. */
  constructor(
    socket: Resource,
    port: DatagramPort,
    options: {
      readonly remote: IpSocketAddress | undefined;
      readonly check: (remote: IpSocketAddress) => void;
    },
  ) {
    super(socket.scope, socket);
    this.#port = port;
    this.#remote = options.remote;
    this.#check = options.check;
  }

  checkSend(): bigint {
    return this.#port.blocked ? 0n : BigInt(MAX_DATAGRAMS);
  }

  send(datagrams: readonly OutgoingDatagram[]): bigint {
    if (datagrams.length > Number(this.checkSend())) {
      throw new GuestTrap(`${datagrams.length} datagrams to send, check-send permits fewer`);
    }
    let sent = 0;
    for (const datagram of datagrams) {
      try {
        if (!this.#sendOne(datagram)) break;
      } catch (error) {
        // An error is told when nothing was sent before; then it comes with the next call.
        if (sent > 0) break;
        throw error;
      }
      sent++;
    }
    return BigInt(sent);
  }

  subscribe(): Pollable {
    const port = this.#port;
    const source = {
      ready: () => !port.blocked,
      watch: (callback: () => void) => port.writable.watch(callback),
    };
    return new Pollable(this.scope, source, this);
  }

  #sendOne({ data, remoteAddress }: OutgoingDatagram): boolean {
    const remote = remoteAddress ?? this.#remote;
    if (remote === undefined) throw new NetworkError("invalid-argument");
    const connected = this.#remote;
    if (connected !== undefined && !isSame(remote, connected)) {
      throw new NetworkError("invalid-argument");
    }
    this.#check(remote);
    if (data.length > MAX_DATAGRAM_BYTES) throw new NetworkError("datagram-too-large");
    try {
      return this.#port.send(data, formatIp(ipOf(remote)), remote.val.port);
    } catch (error) {
      throw new NetworkError(networkErrorCode(error));
    }
  }
}

function isSame(one: IpSocketAddress, other: IpSocketAddress): boolean {
  return one.val.port === other.val.port && formatIp(ipOf(one)) === formatIp(ipOf(other));
}
