import type { SocketHandler } from "bun";
import type { HostClock } from "../../host/host-clock.ts";
import { answerHead } from "./answer-head.ts";
import { FrontConnection, type FrontSocket } from "./front-connection.ts";
import {
  DEFAULT_TIMEOUTS,
  MAX_CONNECTIONS,
  MAX_HELD_BYTES,
  SCRATCH_BYTES,
  type FrontContext,
  type FrontTimeouts,
} from "./front-context.ts";
import type { FrontExchange } from "./front-exchange.ts";

export interface HttpFrontOptions {
  readonly clock: HostClock;
  /** Called for each request, with as much of its body as came along. */
  readonly handle: (exchange: FrontExchange) => void;
  /** Something of ours failed; the connection it was for is reset. */
  readonly onError: (error: unknown) => void;
  readonly timeouts?: Partial<FrontTimeouts>;
  readonly maxConnections?: number;
  readonly maxHeldBytes?: number;
}

interface SocketData {
  connection: FrontConnection | undefined;
}

const SWEEP_INTERVAL_MS = 1000;
const NS_PER_MS = 1_000_000n;

/** HTTP/1.1 on the ports of a container whose guest is called for each request. */
export class HttpFront {
  readonly #context: FrontContext;
  readonly #onError: (error: unknown) => void;
  readonly #listeners: { stop(): void }[] = [];
  #sweeping = false;
  readonly #maxHeldBytes: number;
  #heldBytes = 0;

  constructor(options: HttpFrontOptions) {
    this.#onError = options.onError;
    this.#maxHeldBytes = options.maxHeldBytes ?? MAX_HELD_BYTES;
    this.#context = {
      clock: options.clock,
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
      handle: options.handle,
      connections: new Set(),
      scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
      coarseNowMs: 0,
      dateLine: "",
      draining: false,
      crowded: false,
      hold: (change) => this.#hold(change),
    };
  }

  /** Connections that are open, whether a request is under way or not. */
  get connections(): number {
    return this.#context.connections.size;
  }

  /** `port` is what clients think they talk to. Throws what the system says. */
  listenUnix(path: string, port: number): void {
    this.#listeners.push(
      Bun.listen<SocketData>({
        unix: path,
        allowHalfOpen: true,
        socket: this.#handler(port),
        data: { connection: undefined },
      }),
    );
  }

  /** Throws what the system says. */
  listenTcp(hostname: string, port: number): void {
    this.#listeners.push(
      Bun.listen<SocketData>({
        hostname,
        port,
        allowHalfOpen: true,
        socket: this.#handler(port),
        data: { connection: undefined },
      }),
    );
  }

  /** From now on a connection ends with the answer to its next request. */
  drain(): void {
    this.#context.draining = true;
  }

  /** Nobody is listened to any more, and who is there is cut off. */
  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.stop();
    for (const connection of this.#context.connections) connection.cut();
  }

  #handler(port: number): SocketHandler<SocketData> {
    return {
      open: (socket) => {
        // Each socket gets its own data object: the one given to listen is shared by all.
        socket.data = { connection: this.#accept(socket, port) };
      },
      data: (socket, chunk) => socket.data.connection?.onData(chunk),
      drain: (socket) => socket.data.connection?.onDrain(),
      end: (socket) => socket.data.connection?.onEnd(),
      close: (socket) => socket.data.connection?.onClose(),
      error: (socket, error) => {
        if (!("syscall" in error)) this.#onError(error);
        socket.terminate();
      },
    };
  }

  #accept(socket: FrontSocket, port: number): FrontConnection | undefined {
    const context = this.#context;
    if (context.connections.size >= context.maxConnections) {
      const own = "Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n";
      socket.write(Buffer.from(answerHead(503, [], own)));
      socket.end();
      return undefined;
    }
    this.#startSweeping();
    const connection = new FrontConnection(context, socket, port);
    context.connections.add(connection);
    // It may come while nobody is read from.
    connection.reconsider();
    return connection;
  }

  /** It lasts until half of what is held was read by the guests. */
  #hold(change: number): void {
    const context = this.#context;
    this.#heldBytes += change;
    const limit = context.crowded ? this.#maxHeldBytes / 2 : this.#maxHeldBytes;
    const crowded = this.#heldBytes > limit;
    if (crowded === context.crowded) return;
    context.crowded = crowded;
    for (const connection of context.connections) connection.reconsider();
  }

  /** A container that nobody talks to does not wake up. */
  #startSweeping(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#lookAtClock();
    this.#sweepLater();
  }

  #sweepLater(): void {
    const context = this.#context;
    context.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#lookAtClock();
      for (const connection of context.connections) connection.sweep(context.coarseNowMs);
      this.#sweeping = context.connections.size > 0;
      if (this.#sweeping) this.#sweepLater();
    });
  }

  #lookAtClock(): void {
    const context = this.#context;
    const { clock } = context;
    context.coarseNowMs = Number(clock.monotonicNs() / NS_PER_MS);
    const date = new Date(Number(clock.realtimeNs() / NS_PER_MS));
    context.dateLine = `Date: ${date.toUTCString()}\r\n`;
  }
}
