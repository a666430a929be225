import { ReadySignal } from "../io/ready-signal.ts";
import { socketAddress, type AddressFamily, type IpSocketAddress } from "./ip-address.ts";

/** Datagrams that wait for the guest, and their bytes; what comes above is lost, as UDP may. */
export const MAX_WAITING_DATAGRAMS = 256;
export const MAX_WAITING_BYTES = 256 * 1024;

/** `incoming-datagram` of wasi:sockets/udp. */
export interface IncomingDatagram {
  readonly data: Uint8Array;
  readonly remoteAddress: IpSocketAddress;
}

/** Bun's socket, as far as it is used. */
interface HostSocket {
  readonly address: { readonly address: string; readonly port: number };
  send(data: Uint8Array, port: number, address: string): boolean;
  close(): void;
}

/** A bound UDP port: what came for the guest, and the way out. */
export class DatagramPort {
  readonly readable = new ReadySignal();
  readonly writable = new ReadySignal();
  readonly #may: (address: string, port: number) => boolean;
  #socket: HostSocket | undefined;
  #waiting: IncomingDatagram[] = [];
  #bytes = 0;
  #blocked = false;

  private constructor(may: (address: string, port: number) => boolean) {
    this.#may = may;
  }

  /** Datagrams of whom `may` refuses are dropped. Rejects with what the system says. */
  static async open(
    family: AddressFamily,
    may: (address: string, port: number) => boolean,
  ): Promise<DatagramPort> {
    const made = new DatagramPort(may);
    made.#socket = await Bun.udpSocket({
      hostname: family === "ipv4" ? "0.0.0.0" : "::",
      port: 0,
      socket: {
        data: (_socket, data, port, address) => made.#received(data, port, address),
        drain: () => made.#drained(),
      },
    });
    return made;
  }

  get address(): string {
    return this.#socket?.address.address ?? "";
  }

  get number(): number {
    return this.#socket?.address.port ?? 0;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  receive(limit: number): IncomingDatagram[] {
    const taken = this.#waiting.splice(0, limit);
    for (const { data } of taken) this.#bytes -= data.length;
    return taken;
  }

  /** False when the system has no room: {@link blocked} until it says so. */
  send(data: Uint8Array, address: string, port: number): boolean {
    const sent = this.#socket?.send(data, port, address) ?? false;
    if (!sent) this.#blocked = true;
    return sent;
  }

  close(): void {
    this.#socket?.close();
    this.#waiting = [];
  }

  #received(data: Uint8Array, port: number, address: string): void {
    const full =
      this.#waiting.length >= MAX_WAITING_DATAGRAMS ||
      this.#bytes + data.length > MAX_WAITING_BYTES;
    if (full || !this.#may(address, port)) return;
    const remoteAddress = socketAddress(address, port);
    if (remoteAddress === undefined) return;
    this.#waiting.push({ data, remoteAddress });
    this.#bytes += data.length;
    this.readable.notify();
  }

  #drained(): void {
    this.#blocked = false;
    this.writable.notify();
  }
}
