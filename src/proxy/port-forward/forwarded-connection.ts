import type { Socket, SocketHandler } from "bun";
import { Outlet } from "../../lib/index.ts";

/** What a forwarded connection does to the streams it belongs to. */
export interface ForwardedStreams {
  /** False asks to stop reading from the pod until {@link ForwardedConnection.resume}. */
  sendData(chunk: Buffer): boolean;
  endData(): void;
  /** Nothing more will come; `failure` when the pod could not be reached. */
  finished(failure: string | undefined): void;
}

/** Bytes held for a pod that reads slowly: the protocol has no way to slow kubectl down. */
export const MAX_FORWARD_HELD_BYTES = 32 * 1024 * 1024;

/** One connection to a port of a pod, as kubectl opened it. */
export class ForwardedConnection {
  readonly #streams: ForwardedStreams;
  #socket: Socket<ForwardedConnection> | undefined;
  #outlet: Outlet | undefined;
  /** What the client sent before the pod took the connection. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #clientEnded = false;
  #closed = false;

  constructor(streams: ForwardedStreams) {
    this.#streams = streams;
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#outlet !== undefined) {
      this.#outlet.write(bytes);
      return;
    }
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > MAX_FORWARD_HELD_BYTES)
      this.#finish("too much was sent before it connected");
  }

  /** The client ended its side. */
  endWriting(): void {
    this.#clientEnded = true;
    this.#outlet?.finish();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** The client is gone: nobody is told. */
  cut(): void {
    this.#closed = true;
    this.#socket?.terminate();
  }

  onOpen(socket: Socket<ForwardedConnection>): void {
    if (this.#closed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#outlet = new Outlet(socket, { maxHeldBytes: MAX_FORWARD_HELD_BYTES });
    for (const bytes of this.#early) this.#outlet.write(bytes);
    this.#early = [];
    if (this.#clientEnded) this.#outlet.finish();
  }

  onData(chunk: Buffer): void {
    if (!this.#closed && !this.#streams.sendData(chunk)) this.#socket?.pause();
  }

  onDrain(): void {
    this.#outlet?.flush();
  }

  onEnd(): void {
    if (!this.#closed) this.#streams.endData();
    if (this.#clientEnded) this.#outlet?.finishAndClose();
  }

  onClose(error: Error | undefined): void {
    const refused = this.#socket === undefined;
    this.#finish(refused ? (error?.message ?? "the connection was refused") : undefined);
  }

  #finish(failure: string | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.terminate();
    this.#streams.finished(failure);
  }
}

/** One set of callbacks for all connections. */
export const FORWARD_HANDLER: SocketHandler<ForwardedConnection> = {
  open: (socket) => socket.data.onOpen(socket),
  data: (socket, chunk) => socket.data.onData(chunk),
  drain: (socket) => socket.data.onDrain(),
  end: (socket) => socket.data.onEnd(),
  close: (socket, error) => socket.data.onClose(error),
  error: (socket) => socket.terminate(),
  // Bun may tell this before Bun.connect returned, when nobody is ready to hear it.
  connectError: (socket, error) => queueMicrotask(() => socket.data.onClose(error)),
};
