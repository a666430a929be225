import { createSecureContext, createServer } from "node:tls";
import type { SecureContext, Server, TLSSocket } from "node:tls";
import type { ClientConnection } from "./client-connection.ts";
import type { ClientSocket } from "./client-socket.ts";

/** A client that has not said hello by then is cut. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** A certificate chain and its private key, both PEM. */
export interface CertificatePair {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface TlsListenerOptions {
  readonly hostname: string;
  readonly port: number;
  /** Another process of this user, which allows it, listens there too; it is about to leave. */
  readonly reusePort?: boolean;
  /** For clients that name no host, and for hosts that have no certificate of their own. */
  readonly fallback: CertificatePair;
  /** The certificate for a host as of now, asked at each handshake. */
  readonly contextOf: (host: string) => SecureContext | undefined;
  /** Takes a connection whose handshake is done; undefined when it was turned away. */
  readonly accept: (socket: ClientSocket) => ClientConnection | undefined;
  readonly maxConnections: number;
}

export interface TlsListener {
  readonly port: number;
  /** Takes no new connection; those that are open stay. */
  stop(): void;
}

/** Makes of PEM what a handshake needs. Throws when key and certificate are no pair. */
export function secureContext({ certificate, privateKey }: CertificatePair): SecureContext {
  return createSecureContext({ cert: certificate, key: privateKey });
}

/**
 * Listens with TLS for clients of HTTP/1.1. Which certificate is shown is asked for each
 * connection, so that one that changes is shown from the next connection on and none is dropped:
 * Bun.listen takes one certificate for good, node:tls asks. Rejects when the address cannot be had.
 */
export async function listenWithTls(options: TlsListenerOptions): Promise<TlsListener> {
  const { fallback, contextOf, accept } = options;
  const server = createServer(
    {
      cert: fallback.certificate,
      key: fallback.privateKey,
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      allowHalfOpen: true,
      // No context means the fallback.
      SNICallback: (host, done) => done(null, contextOf(host.toLowerCase())),
    },
    (stream) => join(stream, accept),
  );
  server.maxConnections = options.maxConnections;
  // What speaks no TLS, or trusts nobody here, is not the server's fault.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await listening(server, options);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return { port, stop: () => void server.close() };
}

function listening(server: Server, options: TlsListenerOptions): Promise<void> {
  const { hostname: host, port, reusePort = false } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port, reusePort }, () => {
    server.off("error", reject);
    server.on("error", () => undefined);
    resolve();
  });
  return promise;
}

function join(stream: TLSSocket, accept: TlsListenerOptions["accept"]): void {
  const client = accept(new TlsClientSocket(stream));
  // A reset is told by `close` too, which is what counts.
  stream.on("error", () => stream.destroy());
  if (client === undefined) return;
  stream.on("drain", () => client.onDrain());
  stream.on("end", () => client.onEnd());
  stream.on("close", () => client.onClose());
  stream.on("data", (chunk: Buffer) => client.onData(chunk));
}

/** A stream as a socket that says how much it took. */
class TlsClientSocket implements ClientSocket {
  readonly #stream: TLSSocket;

  constructor(stream: TLSSocket) {
    this.#stream = stream;
  }

  get remoteAddress(): string | undefined {
    return this.#stream.remoteAddress;
  }

  /** A stream takes all that it is given: nothing more before it has drained. */
  write(bytes: Uint8Array): number {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return -1;
    if (stream.writableNeedDrain) return 0;
    // The caller goes on to use these bytes while the stream may still hold them.
    stream.write(Buffer.from(bytes));
    return bytes.length;
  }

  shutdown(): void {
    this.#stream.end();
  }

  end(): void {
    this.#stream.end(() => this.#stream.destroy());
  }

  terminate(): void {
    this.#stream.destroy();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}
