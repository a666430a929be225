import type { SocketHandler, TCPSocketListener } from "bun";
import { sharedPort, type CancelTimer, type Clock } from "../../lib/index.ts";
import { presentedCertificate } from "./presented-certificate.ts";
import { ServedConnection, type ConnectionContext, type TakeOver } from "./served-connection.ts";
import {
  webSocketAnswer,
  WebSocketSession,
  type MessageSession,
  type MessageSocket,
} from "./web-socket.ts";

export interface HttpsDoorOptions {
  readonly hostname: string;
  readonly port: number;
  /** PEM. */
  readonly keys: { readonly certificate: string; readonly privateKey: string };
  /** PEM; clients are asked for certificates of it, and need none. */
  readonly clientAuthority: string;
  readonly sharesPort: boolean;
  readonly handle: ConnectionContext["handle"];
  readonly clock: Clock;
  /** {@link MAX_CONNECTIONS} unless given. */
  readonly maxConnections?: number;
}

/** Further clients are turned away. */
export const MAX_CONNECTIONS = 16_384;
const SWEEP_MS = 5_000;

/** HTTP/1.1 over TLS: connections can be taken over, and clients may show who they are. */
export class HttpsDoor {
  readonly #options: HttpsDoorOptions;
  readonly #context: ConnectionContext;
  #listener: TCPSocketListener<ServedConnection>;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: HttpsDoorOptions) {
    this.#options = options;
    const date = new HttpDate();
    this.#context = {
      handle: options.handle,
      came: new WeakMap(),
      connections: new Set(),
      now: () => options.clock.now(),
      get date() {
        return date.at(options.clock.now());
      },
      leaving: false,
    };
    this.#listener = this.#listen(options.port, options.keys);
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Requests being answered, and connections that were taken over. */
  get pending(): number {
    return [...this.#context.connections].filter(({ busy }) => busy).length;
  }

  /** Shows another certificate to whoever comes from now on; open connections stay. */
  show(keys: HttpsDoorOptions["keys"]): void {
    const { port } = this;
    this.#listener.stop(false);
    this.#listener = this.#listen(port, keys);
  }

  takeOver(request: Request, options: TakeOver): boolean {
    return this.#context.came.get(request)?.takeOver(request, options) ?? false;
  }

  upgrade(
    request: Request,
    options: {
      readonly protocol: string;
      readonly open: (socket: MessageSocket) => MessageSession;
    },
  ): boolean {
    const { protocol, open } = options;
    const headers = webSocketAnswer(request.headers, protocol);
    if (headers === undefined) return false;
    const session = { headers, open: sessionOf(open) };
    return this.takeOver(request, session);
  }

  /** Takes no new connection; those that are open end with their next answer. */
  leave(): void {
    this.#context.leaving = true;
    this.#listener.stop(false);
  }

  stop(): void {
    this.#cancelSweep?.();
    this.#listener.stop(true);
    for (const connection of this.#context.connections) connection.cut();
  }

  #listen(port: number, keys: HttpsDoorOptions["keys"]): TCPSocketListener<ServedConnection> {
    const { hostname, clientAuthority, sharesPort } = this.#options;
    const tls = {
      cert: keys.certificate,
      key: keys.privateKey,
      ca: clientAuthority,
      requestCert: true,
      rejectUnauthorized: false,
    };
    return Bun.listen<ServedConnection>({
      hostname,
      port,
      ...sharedPort({ shares: sharesPort }),
      tls,
      socket: this.#handler(),
    });
  }

  #handler(): SocketHandler<ServedConnection> {
    const { connections } = this.#context;
    const limit = this.#options.maxConnections ?? MAX_CONNECTIONS;
    return {
      open: (socket) => {
        if (connections.size >= limit) {
          socket.terminate();
          return;
        }
        socket.data = new ServedConnection(socket, this.#context);
        connections.add(socket.data);
        this.#sweepLater();
      },
      handshake: (socket, _done, error) => {
        socket.data?.onHandshake(presentedCertificate(socket, error));
      },
      data: (socket, chunk) => socket.data?.onData(chunk),
      drain: (socket) => socket.data?.onDrain(),
      end: (socket) => socket.data?.onEnd(),
      close: (socket) => socket.data?.onClose(),
      error: (socket) => socket.terminate(),
    };
  }

  #sweepLater(): void {
    const { connections } = this.#context;
    this.#cancelSweep ??= this.#options.clock.after(SWEEP_MS, () => {
      this.#cancelSweep = undefined;
      const nowMs = this.#context.now();
      for (const connection of connections) connection.sweep(nowMs);
      if (connections.size > 0) this.#sweepLater();
    });
  }
}

function sessionOf(open: (socket: MessageSocket) => MessageSession): TakeOver["open"] {
  return (socket) => new WebSocketSession(socket, open);
}

/** The time as an HTTP date, written once a second. */
class HttpDate {
  #second = 0;
  #text = "";

  at(nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(nowMs).toUTCString();
    }
    return this.#text;
  }
}
