import type { Socket, TCPSocketListener } from "bun";
import {
  Outlet,
  sharedDatagramPort,
  sharedPort,
  type CancelTimer,
  type Clock,
  type Logger,
} from "../lib/index.ts";
import type { Responder } from "./responder.ts";
import { framed } from "./wire-exchange.ts";

/** Questions that are being answered; datagrams above are dropped, as UDP may. */
export const MAX_QUESTIONS = 1_024;
/** Clients over TCP; further ones are cut. */
export const MAX_TCP_CLIENTS = 256;
/** Silence after which a client over TCP is cut. */
export const TCP_IDLE_MS = 10_000;
/** Questions of one client over TCP that are being answered; it is not read meanwhile. */
const MAX_PIPELINED = 16;
const SWEEP_INTERVAL_MS = 1_000;
const LENGTH_BYTES = 2;

export interface DnsServerOptions {
  readonly responder: Responder;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether another process listens there too, which is about to leave. */
  readonly sharesPorts?: () => boolean;
}

export interface DnsAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Answers on one address, over UDP and TCP alike. */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #clients = new Set<TcpClient>();
  #udp: Bun.udp.Socket<"buffer"> | undefined;
  #tcp: TCPSocketListener<TcpClient> | undefined;
  #cancelSweep: CancelTimer | undefined;
  #questions = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Gives the port, the same for both. Rejects when it cannot be had, and holds nothing then. */
  async listen({ hostname, port }: DnsAddress): Promise<number> {
    const shares = this.#options.sharesPorts?.() === true;
    const tcp = Bun.listen<TcpClient>({
      hostname,
      port,
      ...sharedPort({ shares }),
      socket: this.#tcpHandler(),
    });
    try {
      this.#udp = await Bun.udpSocket({
        hostname,
        port: tcp.port,
        ...sharedDatagramPort({ shares }),
        socket: {
          data: (socket, data, from, address) =>
            void this.#datagram(socket, Buffer.from(data), from, address),
        },
      });
    } catch (error) {
      tcp.stop(true);
      throw error;
    }
    this.#tcp = tcp;
    return tcp.port;
  }

  close(): void {
    this.#cancelSweep?.();
    this.#udp?.close();
    this.#tcp?.stop(true);
    for (const client of this.#clients) client.cut();
  }

  async #datagram(
    socket: Bun.udp.Socket<"buffer">,
    query: Buffer,
    port: number,
    address: string,
  ): Promise<void> {
    if (this.#questions >= MAX_QUESTIONS) return;
    this.#questions++;
    const answer = await this.#options.responder.respond(query, "udp");
    this.#questions--;
    if (answer !== undefined && !socket.closed) socket.send(answer, port, address);
  }

  #tcpHandler(): Bun.SocketHandler<TcpClient> {
    const { responder, clock } = this.#options;
    return {
      open: (socket) => {
        const client = new TcpClient(socket, responder, clock);
        socket.data = client;
        if (this.#clients.size >= MAX_TCP_CLIENTS) client.cut();
        else this.#clients.add(client);
        this.#sweepLater();
      },
      data: (socket, chunk) => socket.data.received(chunk),
      drain: (socket) => socket.data.drained(),
      close: (socket) => void this.#clients.delete(socket.data),
      error: (socket) => socket.terminate(),
    };
  }

  /** Only while somebody is there: a server that rests wakes nobody up. */
  #sweepLater(): void {
    const { clock } = this.#options;
    if (this.#cancelSweep !== undefined || this.#clients.size === 0) return;
    this.#cancelSweep = clock.after(SWEEP_INTERVAL_MS, () => {
      this.#cancelSweep = undefined;
      const untilMs = clock.monotonic() - TCP_IDLE_MS;
      for (const client of this.#clients) if (client.lastMs < untilMs) client.cut();
      this.#sweepLater();
    });
  }
}

/** One client over TCP: each message has its length before it, in both directions. */
class TcpClient {
  lastMs: number;
  readonly #socket: Socket<TcpClient>;
  readonly #outlet: Outlet;
  readonly #responder: Responder;
  readonly #clock: Clock;
  #unread: Buffer = Buffer.alloc(0);
  #answering = 0;

  constructor(socket: Socket<TcpClient>, responder: Responder, clock: Clock) {
    this.#socket = socket;
    this.#outlet = new Outlet(socket);
    this.#responder = responder;
    this.#clock = clock;
    this.lastMs = clock.monotonic();
  }

  received(chunk: Buffer): void {
    this.lastMs = this.#clock.monotonic();
    this.#unread = Buffer.concat([this.#unread, chunk]);
    this.#take();
  }

  drained(): void {
    this.#outlet.flush();
  }

  cut(): void {
    this.#socket.terminate();
  }

  #take(): void {
    while (this.#answering < MAX_PIPELINED && this.#unread.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + this.#unread.readUInt16BE(0);
      if (this.#unread.length < end) break;
      const query = this.#unread.subarray(LENGTH_BYTES, end);
      this.#unread = this.#unread.subarray(end);
      void this.#answer(query);
    }
    if (this.#answering >= MAX_PIPELINED) this.#socket.pause();
    else this.#socket.resume();
  }

  async #answer(query: Buffer): Promise<void> {
    this.#answering++;
    const answer = await this.#responder.respond(query, "tcp");
    this.#answering--;
    if (answer !== undefined) this.#outlet.write(framed(answer));
    this.#take();
  }
}
