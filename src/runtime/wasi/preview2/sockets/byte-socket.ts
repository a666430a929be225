import type { Socket } from "bun";
import type { InputSource } from "../io/input-stream.ts";
import { MAX_WRITE_BYTES, type OutputSink } from "../io/output-stream.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import { SocketWriter } from "../io/socket-writer.ts";
import { networkErrorCode, socketFailure, type NetworkErrorCode } from "./network.ts";

/** Bytes a socket holds before it stops reading. */
export const RECEIVE_HIGH_WATER = 64 * 1024;

export interface SocketData {
  owner: ByteSocket | undefined;
}

/** Who counts a connection that came in. */
export interface ConnectionCount {
  readonly open: Set<ByteSocket>;
  activity: number;
}

/** A connected TCP socket, both of its directions bounded. */
export class ByteSocket {
  readonly input: InputSource;
  readonly output: OutputSink;
  readonly #socket: Socket<SocketData>;
  readonly #writer: SocketWriter;
  readonly #readable = new ReadySignal();
  readonly #writable = new ReadySignal();
  #chunks: Uint8Array[] = [];
  #held = 0;
  #paused = false;
  #ended = false;
  #readShut = false;
  #writeShut = false;
  #closed = false;
  #asked = false;
  #failure: NetworkErrorCode | undefined;
  readonly #count: ConnectionCount | undefined;

  private constructor(socket: Socket<SocketData>, count?: ConnectionCount) {
    this.#socket = socket;
    this.#count = count;
    this.#writer = new SocketWriter(socket);
    this.input = this.#makeInput();
    this.output = this.#makeOutput();
  }

  /** Rejects with what the system says. */
  static async connect(hostname: string, port: number): Promise<ByteSocket> {
    const data: SocketData = { owner: undefined };
    const options = { hostname, port, data, socket: socketHandlers, allowHalfOpen: true };
    const socket = await Bun.connect<SocketData>(options);
    const made = new ByteSocket(socket);
    socket.data.owner = made;
    return made;
  }

  /** A connection that came in. Nothing is read from it before {@link resume}. */
  static accepted(socket: Socket<SocketData>, count: ConnectionCount): ByteSocket {
    const made = new ByteSocket(socket, count);
    socket.data.owner = made;
    count.open.add(made);
    made.#paused = true;
    socket.pause();
    return made;
  }

  resume(): void {
    this.#throttle();
  }

  /** Bytes came in after the guest's last write, or its last write has not left yet. */
  get owesAnswer(): boolean {
    return this.#asked || (this.#writer.heldBytes > 0 && !this.#closed);
  }

  /** Empty for what did not come over IP. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number {
    return this.#socket.remotePort ?? 0;
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  setKeepAlive(idleMs: number | undefined): void {
    if (!this.#closed) this.#socket.setKeepAlive(idleMs !== undefined, idleMs);
  }

  /** Ends one direction or both, as shutdown(2) does. */
  shutdown(type: "receive" | "send" | "both"): void {
    if (type !== "send") {
      this.#readShut = true;
      this.#dropInput();
      this.#readable.notify();
    }
    if (type !== "receive") this.#shutWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#count?.open.delete(this);
    // What the kernel has not taken yet is lost only when the guest did not flush.
    if (this.#writer.heldBytes === 0 && this.#failure === undefined) this.#socket.end();
    else this.#socket.terminate();
  }

  // What the socket says.

  received(chunk: Uint8Array): void {
    if (this.#readShut || this.#closed) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    this.#asked = true;
    this.#moved();
    this.#throttle();
    this.#readable.notify();
  }

  drained(): void {
    this.#writer.drained();
    if (this.#writeShut && this.#writer.heldBytes === 0) this.#socket.shutdown();
    this.#writable.notify();
  }

  ended(): void {
    this.#ended = true;
    this.#readable.notify();
  }

  gone(error: unknown): void {
    if (!this.#ended || error !== undefined) {
      this.#failure ??= error === undefined ? undefined : networkErrorCode(error);
    }
    this.#ended = true;
    this.#writeShut = true;
    this.#closed = true;
    this.#count?.open.delete(this);
    this.#readable.notify();
    this.#writable.notify();
  }

  #makeInput(): InputSource {
    return {
      read: (limit) => this.#read(limit),
      ready: () => this.#held > 0 || this.#ended || this.#readShut,
      watch: (callback) => this.#readable.watch(callback),
      close: () => this.shutdown("receive"),
    };
  }

  #makeOutput(): OutputSink {
    return {
      room: () => this.#room(),
      write: (bytes) => {
        this.#asked = false;
        this.#moved();
        this.#writer.write(bytes);
      },
      flush: () => undefined,
      flushing: () => this.#writer.heldBytes > 0 && !this.#closed,
      ready: () => this.#writeShut || this.#closed || this.#writer.heldBytes < MAX_WRITE_BYTES,
      watch: (callback) => this.#writable.watch(callback),
      close: () => this.#shutWrite(),
    };
  }

  #read(limit: number): Uint8Array | undefined {
    const [first] = this.#chunks;
    if (first === undefined) {
      if (this.#failure !== undefined && !this.#readShut) throw socketFailure(this.#failure);
      return this.#ended || this.#readShut ? undefined : new Uint8Array();
    }
    const part = first.subarray(0, limit);
    if (part.length < first.length) this.#chunks[0] = first.subarray(limit);
    else this.#chunks.shift();
    this.#held -= part.length;
    this.#throttle();
    return part;
  }

  #room(): number | undefined {
    if (this.#failure !== undefined) throw socketFailure(this.#failure);
    if (this.#writeShut || this.#closed) return undefined;
    return Math.max(0, MAX_WRITE_BYTES - this.#writer.heldBytes);
  }

  #shutWrite(): void {
    if (this.#writeShut || this.#closed) return;
    this.#writeShut = true;
    if (this.#writer.heldBytes === 0) this.#socket.shutdown();
    this.#writable.notify();
  }

  #dropInput(): void {
    this.#chunks = [];
    this.#held = 0;
    this.#throttle();
  }

  #moved(): void {
    if (this.#count !== undefined) this.#count.activity++;
  }

  #throttle(): void {
    const full = this.#held >= RECEIVE_HIGH_WATER;
    if (full === this.#paused || this.#closed) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }
}

export const socketHandlers = {
  data: (socket: Socket<SocketData>, chunk: Uint8Array) => socket.data.owner?.received(chunk),
  drain: (socket: Socket<SocketData>) => socket.data.owner?.drained(),
  end: (socket: Socket<SocketData>) => socket.data.owner?.ended(),
  error: (socket: Socket<SocketData>, error: Error) => socket.data.owner?.gone(error),
  close: (socket: Socket<SocketData>, error?: Error) => socket.data.owner?.gone(error),
};
