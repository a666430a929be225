import type { Clock } from "../../lib/index.ts";
import { FRAME, FRAME_HEAD_BYTES, frame, frameHead, FrameReader, type FrameType } from "./frame.ts";
import type { PeerSocket, SocketUser } from "./peer-socket.ts";

/** Payloads up to here are copied next to their head: one TLS record and one call for both. */
const COPIED_BYTES = 64 * 1024;
/** Bytes that wait for the end of the current task before a writer is asked to pause. */
const MAX_GATHERED_BYTES = 256 * 1024;

/** What frames' receivers hear. */
export interface FrameUser {
  onFrame(type: number, payload: Buffer): void;
  /** Told once, last; not after `destroy`. */
  onClose(reason: string): void;
}

export interface FramedConnectionOptions {
  readonly clock: Clock;
  /**
   * What leaves together, in one write: frames of one task, or of one turn of the event loop, which
   * suits heads and bodies that come out of streams. Writing is what costs most.
   */
  readonly gather: "task" | "turn";
}

/**
 * Frames over one connection. Those sent closely together leave in one write; `send` never loses
 * any, and `writable` tells when the peer keeps up.
 */
export class FramedConnection implements SocketUser {
  user: FrameUser;
  readonly #connection: PeerSocket;
  readonly #clock: Clock;
  readonly #flushLater: () => void;
  readonly #reader: FrameReader;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #flushing = false;
  #blocked = false;
  #paused = false;
  #heardMs: number;
  #spokeMs: number;
  #waiters: (() => void)[] = [];

  /** Takes the connection over. */
  constructor(connection: PeerSocket, user: FrameUser, options: FramedConnectionOptions) {
    const { clock } = options;
    this.#connection = connection;
    this.user = user;
    this.#clock = clock;
    this.#flushLater =
      options.gather === "task"
        ? (): void => queueMicrotask(this.#flushGathered)
        : (): void => void setImmediate(this.#flushGathered);
    this.#heardMs = clock.monotonic();
    this.#spokeMs = this.#heardMs;
    this.#reader = new FrameReader((type, payload) => {
      if (type !== FRAME.ping) this.user.onFrame(type, payload);
    });
    connection.user = this;
  }

  get closed(): boolean {
    return this.#connection.closed;
  }

  /** Sent, but not taken over by the system. */
  get waitingBytes(): number {
    return this.#gatheredBytes + this.#connection.heldBytes;
  }

  /** How long the peer has been silent, as far as it was listened to. */
  silentMs(): number {
    return this.#paused ? 0 : this.#clock.monotonic() - this.#heardMs;
  }

  /** The silence was ours: it is not counted. */
  excuseSilence(): void {
    this.#heardMs = this.#clock.monotonic();
  }

  /** Says something when nothing was said for `afterMs`, so that the peer knows we are here. */
  keepAlive(afterMs: number): void {
    if (this.#clock.monotonic() - this.#spokeMs >= afterMs) this.send(FRAME.ping);
  }

  /** False asks to wait for `writable` before more. The payload must not change afterwards. */
  send(type: FrameType, payload: Uint8Array | string = ""): boolean {
    if (typeof payload === "string" || payload.length <= COPIED_BYTES) {
      this.#gather(frame(type, payload));
    } else {
      this.#gather(frameHead(type, payload.length));
      this.#gather(payload);
    }
    return !this.#blocked && this.#gatheredBytes < MAX_GATHERED_BYTES;
  }

  /** Resolves when the peer keeps up, or the connection is gone. */
  writable(): Promise<void> {
    if (this.closed || (!this.#blocked && !this.#flushing)) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  pause(): void {
    this.#paused = true;
    this.#connection.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.excuseSilence();
    this.#connection.resume();
  }

  /** Cuts the connection without a word to its user. */
  destroy(): void {
    this.#reader.stop();
    this.#connection.destroy();
    this.#wake();
  }

  /** Closes after everything sent has left. */
  finish(): void {
    this.flush();
    this.#reader.stop();
    this.#connection.finishAndClose();
  }

  onData(chunk: Buffer): void {
    this.#heardMs = this.#clock.monotonic();
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  onDrain(): void {
    this.#blocked = false;
    this.#wake();
  }

  onEnd(): void {
    this.#fail("the peer ended the connection");
  }

  onClose(error: Error | undefined): void {
    this.#reader.stop();
    this.#wake();
    this.user.onClose(error?.message ?? "the connection was closed");
  }

  #fail(reason: string): void {
    if (this.closed) return;
    this.destroy();
    this.user.onClose(reason);
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#flushing) return;
    this.#flushing = true;
    this.#flushLater();
  }

  readonly #flushGathered = (): void => this.flush();

  /** What was sent leaves now, not with what else is sent closely to it. */
  flush(): void {
    this.#flushing = false;
    const gathered = this.#gathered;
    if (gathered.length === 0) return;
    const bytes = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#spokeMs = this.#clock.monotonic();
    if (bytes <= COPIED_BYTES + FRAME_HEAD_BYTES && gathered.length > 1) {
      this.#write(Buffer.concat(gathered, bytes));
    } else {
      for (const each of gathered) this.#write(each);
    }
    if (!this.#blocked) this.#wake();
  }

  #write(bytes: Uint8Array): void {
    if (!this.#connection.write(bytes)) this.#blocked = true;
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
