import type { Socket, SocketHandler } from "bun";
import { assert } from "../../lib/index.ts";

/** Bytes one socket holds that the peer has not taken; whoever writes more loses the connection. */
export const MAX_HELD_BYTES = 32 * 1024 * 1024;

/** What a socket tells whoever uses it at the moment. */
export interface SocketUser {
  onData(chunk: Buffer): void;
  /** Everything written so far was taken over by the system. */
  onDrain(): void;
  /** The peer ended its writing side. */
  onEnd(): void;
  /** Told once, last; not after `destroy`. */
  onClose(error: Error | undefined): void;
  /** TLS only: the handshake is over; `error` when the peer could not be verified. */
  onHandshake?(error: Error | undefined): void;
}

/**
 * One socket, plain or TLS, whose user may change. Writing never loses bytes: what the system does
 * not take is held, and `write` says so.
 */
export class PeerSocket {
  user: SocketUser;
  #socket: Socket<PeerSocket> | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #finishing: "no" | "half" | "whole" = "no";
  #halfClosed = false;
  #closed = false;
  #failure: Error | undefined;

  constructor(user: SocketUser) {
    this.user = user;
  }

  /** The socket exists from now on. */
  attach(socket: Socket<PeerSocket>): void {
    if (this.#closed) socket.terminate();
    else this.#socket = socket;
  }

  get socket(): Socket<PeerSocket> {
    assert(this.#socket !== undefined, "a peer's socket is used before it is open");
    return this.#socket;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes all bytes, which must not change afterwards; false asks for a pause until the drain. */
  write(bytes: Uint8Array): boolean {
    if (this.#closed) return true;
    if (this.#heldBytes > 0) {
      this.#hold(bytes);
      return false;
    }
    const written = this.socket.write(bytes);
    // A closed socket answers -1: its close event tells the rest.
    if (written === bytes.length || written < 0) return true;
    this.#hold(bytes.subarray(written));
    return false;
  }

  pause(): void {
    if (!this.#closed) this.#socket?.pause();
  }

  resume(): void {
    // Bun tells of a drain before the other side of a tunnel is there.
    if (!this.#closed) this.#socket?.resume();
  }

  /** Ends the writing side once everything is written; reading goes on. */
  finish(): void {
    if (this.#finishing === "no") this.#finishing = "half";
    this.#finishWhenEmpty();
  }

  /** Closes once everything is written. */
  finishAndClose(): void {
    this.#finishing = "whole";
    this.#finishWhenEmpty();
  }

  /** Cuts the connection without a word to its user. */
  destroy(): void {
    if (this.#closed) return;
    this.#release();
    this.#socket?.terminate();
  }

  drained(): void {
    while (this.#held.length > 0) {
      const bytes = this.#held[0] ?? new Uint8Array();
      const written = this.socket.write(bytes);
      if (written < bytes.length) {
        if (written > 0) {
          this.#held[0] = bytes.subarray(written);
          this.#heldBytes -= written;
        }
        return;
      }
      this.#held.shift();
      this.#heldBytes -= bytes.length;
    }
    this.#finishWhenEmpty();
    if (!this.#closed) this.user.onDrain();
  }

  /** An error of the socket, or one that a callback threw: the end tells why. */
  fail(error: Error): void {
    this.#failure = error;
    this.#socket?.terminate();
  }

  /** The socket is gone. */
  lost(error: Error | undefined): void {
    if (this.#closed) return;
    this.#release();
    this.user.onClose(error ?? this.#failure);
  }

  #release(): void {
    this.#closed = true;
    this.#held = [];
    this.#heldBytes = 0;
  }

  #finishWhenEmpty(): void {
    if (this.#heldBytes > 0 || this.#closed) return;
    if (this.#finishing === "no") return;
    // Over TLS, `end` alone would wait for the peer to end too; after `shutdown` it does not.
    if (!this.#halfClosed) this.socket.shutdown();
    this.#halfClosed = true;
    if (this.#finishing === "whole") this.socket.end();
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes <= MAX_HELD_BYTES) return;
    // Told later, as a lost socket would be: the writer is in the middle of something.
    this.socket.terminate();
  }
}

/** One set of callbacks for all sockets whose data is their {@link PeerSocket}. */
export const PEER_SOCKET_EVENTS = {
  data: (socket: Socket<PeerSocket>, chunk: Buffer) => socket.data.user.onData(chunk),
  drain: (socket: Socket<PeerSocket>) => socket.data.drained(),
  end: (socket: Socket<PeerSocket>) => socket.data.user.onEnd(),
  close: (socket: Socket<PeerSocket>, error?: Error) => socket.data.lost(error),
  error: (socket: Socket<PeerSocket>, error: Error) => socket.data.fail(error),
  handshake(socket: Socket<PeerSocket>, success: boolean, error: Error | null): void {
    const { user } = socket.data;
    if (success && error === null && socket.authorized) user.onHandshake?.(undefined);
    else user.onHandshake?.(error ?? new Error("the TLS handshake failed"));
  },
} satisfies Partial<SocketHandler<PeerSocket>>;
