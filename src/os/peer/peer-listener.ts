import type { TCPSocketListener } from "bun";
import type { CancelTimer, Clock } from "../../lib/index.ts";
import type { CalmWarnings } from "./calm-warnings.ts";
import type { PeerIdentity } from "./node-link.ts";
import { identityOf } from "./peer-identity.ts";
import { PEER_SOCKET_EVENTS, PeerSocket, type SocketUser } from "./peer-socket.ts";
import { LineReader, parsePreface, type Preface, type PrefaceAnswer } from "./preface.ts";

/** From connecting to the end of the preface; who is slower is cut. */
export const GREETING_DEADLINE_MS = 5_000;
/** Connections that have not said who they are; the oldest is cut for a new one. */
export const MAX_GREETINGS = 256;
/** Connections of any kind, so that no peer uses up this process's descriptors. */
export const MAX_ACCEPTED = 8_192;
/** Of those, the connections that one certificate may hold: one node cannot shut out the others. */
export const MAX_ACCEPTED_A_PEER = 2_048;

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Why a peer's connection is not taken; temporary: it may ask again soon. */
export interface Refusal {
  readonly refused: string;
  readonly temporary?: boolean;
}

/** Takes a verified peer's connection over and answers, or says why not. */
export type Accept = (
  preface: Preface,
  peer: PeerIdentity,
  connection: PeerSocket,
) => Refusal | undefined;

export interface PeerListenerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly warnings: CalmWarnings;
  readonly accept: Accept;
  /** {@link MAX_ACCEPTED_A_PEER} unless given. */
  readonly maxAcceptedAPeer?: number;
}

/** The mutual-TLS listener: nobody without a certificate of the cluster gets past it. */
export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #listener: TCPSocketListener<PeerSocket>;
  /** In the order of their coming. */
  readonly #greetings = new Set<Greeting>();
  readonly #accepted = new Set<PeerSocket>();
  /** Whose the connections behind their greeting are, and how many each peer has. */
  readonly #holders = new Map<PeerSocket, string>();
  readonly #held = new Map<string, number>();

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#listener = Bun.listen<PeerSocket>({
      hostname: options.hostname,
      port: options.port,
      allowHalfOpen: true,
      tls: { ...options.tls, requestCert: true, rejectUnauthorized: true },
      socket: {
        ...PEER_SOCKET_EVENTS,
        open: (socket) => {
          const greeting = new Greeting(
            { ...this.#options, accept: (...given) => this.#accept(...given) },
            (left) => this.#greetings.delete(left),
          );
          socket.data = greeting.connection;
          greeting.connection.attach(socket);
          this.#take(greeting);
        },
        close: (socket, error) => {
          this.#accepted.delete(socket.data);
          this.#release(socket.data);
          socket.data.lost(error);
        },
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Connections of all kinds. */
  get size(): number {
    return this.#accepted.size;
  }

  close(): void {
    this.#listener.stop();
    for (const connection of this.#accepted) connection.destroy();
    for (const greeting of this.#greetings) greeting.end();
  }

  #accept(preface: Preface, peer: PeerIdentity, connection: PeerSocket): Refusal | undefined {
    const { accept, maxAcceptedAPeer = MAX_ACCEPTED_A_PEER } = this.#options;
    const { commonName } = peer;
    const held = this.#held.get(commonName) ?? 0;
    if (held >= maxAcceptedAPeer) {
      return { refused: `${commonName} has ${held} connections open`, temporary: true };
    }
    this.#holders.set(connection, commonName);
    this.#held.set(commonName, held + 1);
    const refusal = accept(preface, peer, connection);
    if (refusal !== undefined) this.#release(connection);
    return refusal;
  }

  #release(connection: PeerSocket): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined) return;
    this.#holders.delete(connection);
    const left = (this.#held.get(holder) ?? 1) - 1;
    if (left === 0) this.#held.delete(holder);
    else this.#held.set(holder, left);
  }

  #take(greeting: Greeting): void {
    if (this.#accepted.size >= MAX_ACCEPTED) {
      this.#options.warnings.warn("too many peer connections", { limit: MAX_ACCEPTED });
      greeting.end();
      return;
    }
    this.#accepted.add(greeting.connection);
    this.#greetings.add(greeting);
    if (this.#greetings.size <= MAX_GREETINGS) return;
    for (const oldest of this.#greetings) {
      oldest.end();
      return;
    }
  }
}

/** A connection until it is known who came, and what for. */
class Greeting implements SocketUser {
  readonly connection: PeerSocket;
  readonly #options: PeerListenerOptions;
  readonly #onLeft: (greeting: Greeting) => void;
  readonly #line = new LineReader();
  readonly #cancelDeadline: CancelTimer;
  #peer: PeerIdentity | undefined;

  constructor(options: PeerListenerOptions, onLeft: (greeting: Greeting) => void) {
    this.#options = options;
    this.#onLeft = onLeft;
    this.connection = new PeerSocket(this);
    this.#cancelDeadline = options.clock.after(GREETING_DEADLINE_MS, () => this.end());
  }

  onHandshake(error: Error | undefined): void {
    if (error === undefined) {
      this.#peer = identityOf(this.connection.socket, this.#options.clock.now());
    }
    if (this.#peer !== undefined) return;
    const from = this.connection.socket.remoteAddress;
    const reason = error?.message ?? "its certificate names nobody, or expired";
    this.#options.warnings.warn("peer connection refused", { from, reason });
    this.end();
  }

  onData(chunk: Buffer): void {
    const peer = this.#peer;
    if (peer === undefined) {
      this.end();
      return;
    }
    let preface: Preface;
    try {
      const read = this.#line.push(chunk);
      if (read === undefined) return;
      preface = parsePreface(read.line);
      // What a peer says before its preface is answered belongs to nobody.
      if (read.rest.length > 0) throw new Error("bytes behind the preface");
    } catch (error) {
      this.#refuse(peer, { refused: error instanceof Error ? error.message : String(error) });
      return;
    }
    this.#leave();
    const refusal = this.#admit(preface, peer);
    if (refusal !== undefined) this.#refuse(peer, refusal);
  }

  onDrain(): void {
    // Nothing waits for it.
  }

  onEnd(): void {
    this.end();
  }

  onClose(): void {
    this.#leave();
  }

  end(): void {
    this.#leave();
    this.connection.destroy();
  }

  #admit(preface: Preface, peer: PeerIdentity): Refusal | undefined {
    const { clusterId } = this.#options;
    if (preface.cluster !== clusterId) {
      return { refused: `this is cluster ${clusterId}, not ${preface.cluster}` };
    }
    return this.#options.accept(preface, peer, this.connection);
  }

  #refuse(peer: PeerIdentity, refusal: Refusal): void {
    const { refused: reason, temporary = false } = refusal;
    if (!temporary) {
      this.#options.warnings.warn("peer connection refused", { peer: peer.commonName, reason });
    }
    this.#leave();
    this.connection.write(answerLine({ ok: false, reason, temporary }));
    this.connection.user = new Farewell(this.connection);
    this.connection.finishAndClose();
  }

  #leave(): void {
    this.#cancelDeadline();
    this.#onLeft(this);
  }
}

/** After a refusal: the answer is short, and closes behind itself; nothing more is heard. */
class Farewell implements SocketUser {
  readonly #connection: PeerSocket;

  constructor(connection: PeerSocket) {
    this.#connection = connection;
  }

  onData(): void {
    this.#connection.destroy();
  }

  onDrain(): void {
    // Nothing waits for it.
  }

  onEnd(): void {
    this.#connection.destroy();
  }

  onClose(): void {
    // It is over.
  }
}

/** The line that admits or refuses a connection. */
export function answerLine(answer: PrefaceAnswer): Buffer {
  return Buffer.from(`${JSON.stringify(answer)}\n`);
}
