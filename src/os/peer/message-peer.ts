import type { CancelTimer, Clock, Random } from "../../lib/index.ts";
import type { MemberId, Message } from "../../store/index.ts";
import { FRAME } from "./frame.ts";
import { FramedConnection } from "./framed-connection.ts";
import type { PeerSocket } from "./peer-socket.ts";

/** Appends that wait for a slow peer; further ones are dropped whole, the core repeats them. */
export const MAX_QUEUED_APPEND_BYTES = 16 * 1024 * 1024;
/** What a peer that takes nothing may have waiting of all other messages. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Something is said at least this often … */
export const KEEP_ALIVE_MS = 500;
/** … and a peer that is silent for this long is taken for gone. */
export const PEER_SILENCE_MS = 1_500;
export const MIN_BACKOFF_MS = 20;
export const MAX_BACKOFF_MS = 1_000;
/** A peer that refuses us is asked again this rarely. */
export const REFUSED_BACKOFF_MS = 5_000;
/** The member with the larger id leaves dialling to the other one for so long. */
export const YIELD_MS = 300;
/** The next entries take along that something is committed, if they leave within this time. */
export const COMMIT_NEWS_MS = 1;
/** An entry on the wire, without its data. */
const ENTRY_OVERHEAD_BYTES = 32;

/** Encodes and decodes; the consensus core's room has it. */
export interface MessageCodec {
  encode(message: Message): Uint8Array;
  /** Throws on anything that is not a message. */
  decode(bytes: Uint8Array): Message;
}

export interface MessagePeerOptions {
  readonly self: MemberId;
  readonly id: MemberId;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly random: Random;
  /** Begins to dial; gives the way to give up. */
  dial(address: string, outcome: DialOutcome): () => void;
  onMessages(messages: readonly Message[]): void;
  onUp(): void;
  onDown(): void;
  onBroken(reason: string): void;
  /** It has neither address nor connection any more. */
  onForgotten(): void;
}

export interface DialOutcome {
  readonly onDialled: (connection: PeerSocket, rest: Buffer) => void;
  readonly onFailure: (options: { readonly refused: boolean }) => void;
}

/**
 * Another member: the connection to it, and what waits for it. Two members may dial each other at
 * once; both connections serve then, until the one that the larger id dialled is closed as surplus.
 */
export class MessagePeer {
  readonly #options: MessagePeerOptions;
  #address: string | undefined;
  #outgoing: MessageConnection | undefined;
  #incoming: MessageConnection | undefined;
  #appends: Message[] = [];
  #appendBytes = 0;
  /** That something is committed; waits for entries to go with. */
  #commitNews: Message | undefined;
  #cancelNews: CancelTimer | undefined;
  #pumping = false;
  #state: "unknown" | "up" | "down" = "unknown";
  #failures = 0;
  #cancelDial: (() => void) | undefined;
  #cancelRetry: CancelTimer | undefined;
  #closed = false;

  constructor(options: MessagePeerOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#outgoing !== undefined || this.#incoming !== undefined;
  }

  get queuedBytes(): number {
    return this.#appendBytes + (this.#connection?.framed.waitingBytes ?? 0);
  }

  get #connection(): MessageConnection | undefined {
    return this.#outgoing ?? this.#incoming;
  }

  /** Undefined: it is no member any more, or its address is not known yet. */
  setAddress(address: string | undefined): void {
    if (this.#address === address || this.#closed) return;
    this.#address = address;
    this.#stopDialling();
    this.#outgoing?.framed.destroy();
    this.#lost(this.#outgoing);
    this.#failures = 0;
    if (!this.connected) this.#retryAfter(this.#dialsFirst ? 0 : YIELD_MS);
  }

  /** The peer dialled us. */
  accept(socket: PeerSocket): void {
    const before = this.#incoming;
    this.#incoming = this.#connect(socket);
    before?.framed.destroy();
    if (this.#dialsFirst) {
      // The other one yields: what it dialled goes as soon as ours is there.
      if (this.#outgoing === undefined) this.#stopDialling();
    } else {
      this.#stopDialling();
      this.#outgoing?.framed.finish();
      this.#outgoing = undefined;
    }
    this.#becomeUp();
  }

  /** Never waits; drops what exceeds the limits, and all while there is no connection. */
  send(messages: readonly Message[]): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    for (const message of messages) {
      if (isCommitNews(message)) this.#holdNews(message);
      else if (message.type === "append-request") this.#queue(message);
      else if (connection.framed.waitingBytes < MAX_WAITING_BYTES) {
        connection.framed.send(FRAME.message, this.#options.codec.encode(message));
      }
    }
    this.#pump();
    // Others wait for these: they leave before this turn's further work.
    if (!messages.every(isCommitNews)) connection.framed.flush();
  }

  /** Called every {@link KEEP_ALIVE_MS}; `late` when the process itself was held up. */
  tick(options: { readonly late: boolean }): void {
    for (const connection of [this.#outgoing, this.#incoming]) {
      if (connection === undefined) continue;
      if (options.late) connection.framed.excuseSilence();
      connection.framed.keepAlive(KEEP_ALIVE_MS / 2);
      if (connection.framed.silentMs() > PEER_SILENCE_MS) {
        connection.framed.destroy();
        this.#broken(connection, "the peer is silent");
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopDialling();
    this.#outgoing?.framed.destroy();
    this.#incoming?.framed.destroy();
    this.#outgoing = undefined;
    this.#incoming = undefined;
    this.#dropAppends();
  }

  get #dialsFirst(): boolean {
    return this.#options.self < this.#options.id;
  }

  #connect(socket: PeerSocket): MessageConnection {
    const connection = new MessageConnection(socket, this.#options, (reason) =>
      this.#broken(connection, reason),
    );
    return connection;
  }

  #becomeUp(): void {
    this.#failures = 0;
    if (this.#state === "up") return;
    this.#state = "up";
    this.#options.onUp();
  }

  #broken(connection: MessageConnection, reason: string): void {
    if (this.#closed) return;
    if (connection === this.#connection) this.#options.onBroken(reason);
    this.#lost(connection);
  }

  #lost(connection: MessageConnection | undefined): void {
    if (connection === undefined || this.#closed) return;
    if (this.#outgoing === connection) this.#outgoing = undefined;
    if (this.#incoming === connection) this.#incoming = undefined;
    if (this.connected) return;
    this.#dropAppends();
    this.#becomeDown();
    if (this.#address === undefined) this.#options.onForgotten();
    else this.#retryAfter(this.#dialsFirst ? this.#backoffMs() : YIELD_MS);
  }

  #becomeDown(): void {
    if (this.#state === "down") return;
    this.#state = "down";
    this.#options.onDown();
  }

  /** It and its answer would be half of all messages when writes follow each other closely. */
  #holdNews(message: Message): void {
    this.#commitNews = message;
    this.#cancelNews ??= this.#options.clock.after(COMMIT_NEWS_MS, () => {
      if (this.#commitNews === undefined) return;
      this.#queue(this.#commitNews);
      this.#pump();
      this.#connection?.framed.flush();
    });
  }

  #dropNews(): void {
    this.#commitNews = undefined;
    this.#cancelNews?.();
    this.#cancelNews = undefined;
  }

  /** An append tells of all that was committed before it. */
  #queue(append: Message): void {
    this.#dropNews();
    const bytes = sizeOf(append);
    if (this.#appendBytes > 0 && this.#appendBytes + bytes > MAX_QUEUED_APPEND_BYTES) return;
    this.#appends.push(append);
    this.#appendBytes += bytes;
  }

  #dropAppends(): void {
    this.#dropNews();
    this.#appends = [];
    this.#appendBytes = 0;
  }

  #pump(): void {
    if (this.#pumping) return;
    for (;;) {
      const connection = this.#connection;
      const message = this.#appends[0];
      if (connection === undefined || message === undefined) return;
      this.#appends.shift();
      this.#appendBytes -= sizeOf(message);
      if (connection.framed.send(FRAME.message, this.#options.codec.encode(message))) continue;
      this.#pumping = true;
      void connection.framed.writable().then(() => {
        this.#pumping = false;
        this.#pump();
      });
      return;
    }
  }

  #dial(): void {
    const address = this.#address;
    if (address === undefined || this.connected || this.#closed) return;
    this.#cancelDial = this.#options.dial(address, {
      onDialled: (socket, rest) => {
        this.#cancelDial = undefined;
        this.#outgoing = this.#connect(socket);
        this.#becomeUp();
        if (rest.length > 0) this.#outgoing.framed.onData(rest);
      },
      onFailure: ({ refused }) => {
        this.#cancelDial = undefined;
        this.#failures++;
        this.#becomeDown();
        const jitter = 0.75 + this.#options.random.float() / 4;
        this.#retryAfter(refused ? REFUSED_BACKOFF_MS * jitter : this.#backoffMs());
      },
    });
  }

  #backoffMs(): number {
    const limit = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#failures, 10));
    return limit * (0.5 + this.#options.random.float() / 2);
  }

  #retryAfter(delayMs: number): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      this.#cancelRetry = undefined;
      this.#dial();
    });
  }

  #stopDialling(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#cancelDial?.();
    this.#cancelDial = undefined;
  }
}

/** One connection: cuts frames into messages, and tells those of one read together. */
class MessageConnection {
  readonly framed: FramedConnection;
  readonly #options: MessagePeerOptions;
  readonly #onBroken: (reason: string) => void;
  #received: Message[] = [];

  constructor(socket: PeerSocket, options: MessagePeerOptions, onBroken: (reason: string) => void) {
    this.#options = options;
    this.#onBroken = onBroken;
    this.framed = new FramedConnection(
      socket,
      { onFrame: (type, payload) => this.#onFrame(type, payload), onClose: onBroken },
      { clock: options.clock, gather: "turn" },
    );
  }

  #onFrame(type: number, payload: Buffer): void {
    let message: Message;
    try {
      if (type !== FRAME.message) throw new Error(`a frame of type ${type} among messages`);
      message = this.#options.codec.decode(payload);
      if (message.from !== this.#options.id || message.to !== this.#options.self) {
        throw new Error(`a message from ${message.from} to ${message.to}`);
      }
    } catch (error) {
      this.framed.destroy();
      this.#onBroken(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#received.push(message);
    if (this.#received.length > 1) return;
    queueMicrotask(() => {
      const received = this.#received;
      this.#received = [];
      this.#options.onMessages(received);
    });
  }
}

function isCommitNews(message: Message): boolean {
  return message.type === "append-request" && message.entries.length === 0;
}

function sizeOf(message: Message): number {
  if (message.type !== "append-request") return 0;
  let bytes = ENTRY_OVERHEAD_BYTES;
  for (const entry of message.entries) bytes += entry.data.length + ENTRY_OVERHEAD_BYTES;
  return bytes;
}
