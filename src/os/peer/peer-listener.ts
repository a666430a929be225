import type { TCPSocketListener } from "bun";
import type { CancelTimer, Clock } from "../../lib/index.ts";
import type { CalmWarnings } from "./calm-warnings.ts";
import type { PeerIdentity } from "./node-link.ts";
import { identityOf } from "./peer-identity.ts";
import type { PeerLimits } from "./peer-limits.ts";
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

/** A port that did not come back with another certificate is asked for again this often. */
export const LISTEN_AGAIN_MS = 1_000;

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
  readonly limits?: Pick<PeerLimits, "accepted" | "acceptedAPeer">;
}

/** A connection behind its greeting. */
interface Held {
  readonly peer: PeerIdentity;
  readonly protocol: Preface["protocol"];
}

/** The mutual-TLS listener: nobody without a certificate of the cluster gets past it. */
export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #port: number;
  /** Undefined while the port cannot be had back. */
  #listener: TCPSocketListener<PeerSocket> | undefined;
  #cancelListening: CancelTimer | undefined;
  #closed = false;
  /** In the order of their coming. */
  readonly #greetings = new Set<Greeting>();
  readonly #accepted = new Set<PeerSocket>();
  /** Whose the connections behind their greeting are, and how many each peer has. */
  readonly #holders = new Map<PeerSocket, Held>();
  readonly #held = new Map<string, number>();

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#listener = this.#listen(options.port, options.tls);
    this.#port = this.#listener.port;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections of all kinds. */
  get size(): number {
    return this.#accepted.size;
  }

  /**
   * Shows another certificate to whoever comes from now on; open connections stay. Bun's listeners
   * keep theirs, so that another one takes the port: who comes in that moment has to come again.
   */
  show(tls: TlsMaterial): void {
    this.#cancelListening?.();
    this.#listener?.stop();
    this.#listener = undefined;
    if (this.#closed) return;
    try {
      this.#listener = this.#listen(this.#port, tls);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.warnings.warn("the peer port cannot be had back", { port: this.#port, reason });
      this.#cancelListening = this.#options.clock.after(LISTEN_AGAIN_MS, () => this.show(tls));
    }
  }

  /** Ends the connections of this kind, told to their users as the reason. */
  cut(which: (held: Held) => boolean, reason: string): void {
    for (const [connection, held] of this.#holders) {
      if (which(held)) connection.fail(new Error(reason));
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelListening?.();
    this.#listener?.stop();
    for (const connection of this.#accepted) connection.destroy();
    for (const greeting of this.#greetings) greeting.end();
  }

  #listen(port: number, tls: TlsMaterial): TCPSocketListener<PeerSocket> {
    return Bun.listen<PeerSocket>({
      hostname: this.#options.hostname,
      port,
      allowHalfOpen: true,
      tls: { ...tls, requestCert: true, rejectUnauthorized: true },
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

  #accept(preface: Preface, peer: PeerIdentity, connection: PeerSocket): Refusal | undefined {
    const { accept, limits } = this.#options;
    const { commonName } = peer;
    const held = this.#held.get(commonName) ?? 0;
    if (held >= (limits?.acceptedAPeer ?? MAX_ACCEPTED_A_PEER)) {
      return { refused: `${commonName} has ${held} connections open`, temporary: true };
    }
    this.#holders.set(connection, { peer, protocol: preface.protocol });
    this.#held.set(commonName, held + 1);
    const refusal = accept(preface, peer, connection);
    if (refusal !== undefined) this.#release(connection);
    return refusal;
  }

  #release(connection: PeerSocket): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined) return;
    this.#holders.delete(connection);
    const { commonName } = holder.peer;
    const left = (this.#held.get(commonName) ?? 1) - 1;
    if (left === 0) this.#held.delete(commonName);
    else this.#held.set(commonName, left);
  }

  #take(greeting: Greeting): void {
    const limit = this.#options.limits?.accepted ?? MAX_ACCEPTED;
    if (this.#accepted.size >= limit) {
      this.#options.warnings.warn("too many peer connections", { limit });
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
