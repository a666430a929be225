import { assert, unreachable } from "../assert.ts";
import { ByteInbox } from "../byte-inbox.ts";
import { HeaderInflater, HeaderWriter } from "./header-block.ts";
import {
  dataFrame,
  FrameReader,
  goAwayFrame,
  pingFrame,
  RESET,
  resetFrame,
  SpdyError,
  type SpdyFrame,
  synReplyFrame,
  synStreamFrame,
  windowUpdateFrame,
} from "./spdy-frames.ts";

/** What carries the frames: a socket, or messages of a WebSocket, whose borders mean nothing. */
export interface SpdyTransport {
  /** False: it is sent, but what follows should wait for {@link SpdyConnection.drained}. */
  write(bytes: Uint8Array): boolean;
  /** Stops reading until `resume`, where the transport can do that. */
  pause(): void;
  resume(): void;
  /** Closes it once everything is written; `failure` says what the other side did wrong. */
  close(failure?: string): void;
}

export interface SpdyConnectionOptions {
  readonly transport: SpdyTransport;
  /** Who dialled is the client; only its streams are numbered with odd ids. */
  readonly role: "client" | "server";
  /**
   * A stream that the other side opened: undefined takes it, one of {@link RESET} refuses it.
   * Without it all are refused.
   */
  readonly onStream?: (stream: SpdyStream) => number | undefined;
  /** Told once, when nothing more will come over this connection. */
  readonly onClose?: () => void;
}

/** Streams of one connection that are open at the same time. */
export const MAX_SPDY_STREAMS = 1024;
/** Bytes of a stream that nobody reads, over a transport that cannot pause. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
/** Bytes that came and wait for headers before them, which are read in the background. */
export const MAX_WAITING_BYTES = 32 * 1024 * 1024;
const MAX_DATA_BYTES = 32 * 1024;

/**
 * One side of a SPDY/3.1 connection as Kubernetes and container runtimes use it for streams of
 * programs and ports. Windows are not counted: as with Kubernetes' own implementation, a reader
 * that is slow holds the whole connection back.
 */
export class SpdyConnection {
  readonly #options: SpdyConnectionOptions;
  readonly #reader = new FrameReader();
  readonly #inflater = new HeaderInflater();
  readonly #writer = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  /** Those with more unread than they have room for. */
  readonly #unread = new Set<SpdyStream>();
  /** Streams that we opened and the other side has not answered yet. */
  readonly #unanswered = new Set<number>();
  #allAnswered: PromiseWithResolvers<void> | undefined;
  #nextId: number;
  #waiting: SpdyFrame[] = [];
  #waitingBytes = 0;
  #working = false;
  #room: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor(options: SpdyConnectionOptions) {
    this.#options = options;
    this.#nextId = options.role === "client" ? 1 : 2;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens a stream to the other side. Names of headers are in lower case. */
  open(
    headers: Readonly<Record<string, string>>,
    options: { readonly ended?: true } = {},
  ): SpdyStream {
    assert(!this.#closed, "no stream is opened over a connection that is closed");
    const id = this.#nextId;
    this.#nextId += 2;
    const ended = options.ended === true;
    const stream = this.#adopt(id, new Map(Object.entries(headers)), { ended });
    this.#unanswered.add(id);
    this.#send(synStreamFrame(id, this.#writer.next(headers), { fin: ended }));
    return stream;
  }

  /** Resolves when all streams that we opened were answered, or the connection ended. */
  async answered(): Promise<void> {
    if (this.#closed || this.#unanswered.size === 0) return;
    this.#allAnswered ??= Promise.withResolvers();
    await this.#allAnswered.promise;
  }

  /** Bytes from the transport. */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#waiting.push(...this.#reader.push(bytes));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#fail(new SpdyError("too much waits here"));
    else if (!this.#working) void this.#work();
  }

  /** The transport takes more again. */
  drained(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** The transport is gone. */
  lost(reason = "the connection was closed"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#inflater.close();
    const error = new SpdyError(reason);
    for (const stream of this.#streams.values()) stream.lost(error);
    this.#streams.clear();
    this.#unread.clear();
    this.#allAnswered?.resolve();
    this.drained();
    this.#options.onClose?.();
  }

  /** Asks the other side for a word: writing is what shows that it is gone while nobody reads. */
  ping(): void {
    // Odd ids are a client's.
    this.#send(pingFrame(this.#options.role === "client" ? 1 : 2));
  }

  /** Says that nothing more follows, and closes the transport. */
  close(): void {
    if (this.#closed) return;
    this.#options.transport.write(goAwayFrame(0, 0));
    this.lost();
    this.#options.transport.close();
  }

  /** In order: a stream's data must not overtake its headers. */
  async #work(): Promise<void> {
    this.#working = true;
    try {
      while (this.#waiting.length > 0 && !this.#closed) {
        const frames = this.#waiting;
        this.#waiting = [];
        this.#waitingBytes = 0;
        for (const frame of frames) {
          const later = this.#closed ? undefined : this.#handle(frame);
          if (later !== undefined) await later;
        }
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#working = false;
  }

  #handle(frame: SpdyFrame): Promise<void> | undefined {
    switch (frame.type) {
      case "syn-stream":
        return this.#opened(frame);
      case "headers":
        // A client has no use for what answers say. For a server it is part of the compression.
        if (this.#options.role === "client") return this.#answered(frame.streamId);
        return this.#inflater.read(frame.headerBlock).then(() => undefined);
      case "data":
        this.#data(frame);
        return undefined;
      case "reset":
        this.#streams.get(frame.streamId)?.lost(new SpdyError(`stream reset (${frame.status})`));
        this.#forget(frame.streamId);
        return this.#answered(frame.streamId);
      case "ping": {
        // Odd ids are the client's questions, even ones the server's; the rest are answers.
        const theirs = this.#options.role === "client" ? 0 : 1;
        if (frame.id % 2 === theirs) this.#send(pingFrame(frame.id));
        return undefined;
      }
      case "go-away":
      case "other":
        return undefined;
      default:
        return unreachable(frame);
    }
  }

  #answered(streamId: number): undefined {
    this.#unanswered.delete(streamId);
    if (this.#unanswered.size === 0) this.#allAnswered?.resolve();
  }

  async #opened(frame: Extract<SpdyFrame, { type: "syn-stream" }>): Promise<void> {
    const { onStream, role } = this.#options;
    if (role === "client" || onStream === undefined) {
      this.#send(resetFrame(frame.streamId, RESET.refused));
      return;
    }
    const headers = await this.#inflater.read(frame.headerBlock);
    if (this.#closed) return;
    if (this.#streams.has(frame.streamId) || frame.streamId % 2 === 0) {
      throw new SpdyError(`stream ${frame.streamId} cannot be opened`);
    }
    if (this.#streams.size >= MAX_SPDY_STREAMS) {
      this.#send(resetFrame(frame.streamId, RESET.refused));
      return;
    }
    const stream = this.#adopt(frame.streamId, headers, { ended: false });
    this.#send(synReplyFrame(frame.streamId, this.#writer.next()));
    const refusal = onStream(stream);
    if (refusal !== undefined) stream.reset(refusal);
    else if (frame.fin) stream.endReading();
  }

  #adopt(
    id: number,
    headers: ReadonlyMap<string, string>,
    options: { readonly ended: boolean },
  ): SpdyStream {
    const stream: SpdyStream = new SpdyStream(id, headers, options, {
      send: (frame) => this.#send(frame),
      room: () => this.#room?.promise,
      readAgain: () => this.#readAgain(stream),
      over: () => this.#forget(id),
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #data({ streamId, payload, fin }: Extract<SpdyFrame, { type: "data" }>): void {
    const stream = this.#streams.get(streamId);
    if (payload.length > 0) {
      this.#tellRoom(streamId, payload.length);
      if (stream?.push(payload) === false) {
        this.#unread.add(stream);
        this.#options.transport.pause();
        if (stream.unreadBytes > MAX_UNREAD_BYTES) stream.reset(RESET.internal);
      }
    }
    if (fin) stream?.endReading();
  }

  /**
   * Clients that count are told that there is room again. Servers do not count; and one that closes
   * with our words unread resets the connection, and what it said last is lost on its way.
   */
  #tellRoom(streamId: number, bytes: number): void {
    if (this.#options.role === "client") return;
    this.#send(windowUpdateFrame(streamId, bytes));
    this.#send(windowUpdateFrame(0, bytes));
  }

  #readAgain(stream: SpdyStream): void {
    if (this.#unread.delete(stream) && this.#unread.size === 0) this.#options.transport.resume();
  }

  #forget(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#readAgain(stream);
  }

  #send(frame: Buffer): void {
    if (this.#closed || this.#options.transport.write(frame)) return;
    this.#room ??= Promise.withResolvers();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    const reason = error instanceof SpdyError ? error.message : "the session failed";
    this.#options.transport.write(goAwayFrame(0, RESET.protocolError));
    this.lost(reason);
    this.#options.transport.close(reason);
  }
}

/** What a stream may ask of its connection. */
interface StreamHost {
  send(frame: Buffer): void;
  /** Resolves when more may be sent; undefined: now. */
  room(): Promise<void> | undefined;
  readAgain(): void;
  over(): void;
}

/** One stream: bytes both ways, each of which ends by itself. */
export class SpdyStream {
  readonly id: number;
  /** As they were sent when it was opened; names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly #host: StreamHost;
  readonly #inbox: ByteInbox;
  #reading = true;
  #writing = true;
  #failure: Error | undefined;

  constructor(
    id: number,
    headers: ReadonlyMap<string, string>,
    options: { readonly ended: boolean },
    host: StreamHost,
  ) {
    this.id = id;
    this.headers = headers;
    this.#writing = !options.ended;
    this.#host = host;
    this.#inbox = new ByteInbox({
      onRoom: () => host.readAgain(),
      onCancel: () => host.readAgain(),
    });
  }

  /**
   * What the other side says. It ends as well when the stream was reset or the connection lost,
   * since what came before must not be lost: {@link failure} tells.
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#inbox.stream;
  }

  /** Set when the stream did not end in order. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get unreadBytes(): number {
    return this.#inbox.heldBytes;
  }

  /** Resolves when more may be written. Rejects once the stream is over. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      if (!this.#writing) throw this.#failure ?? new SpdyError("the stream was ended");
      const part = bytes.subarray(at, at + MAX_DATA_BYTES);
      this.#host.send(dataFrame(this.id, part, { fin: false }));
      const room = this.#host.room();
      if (room !== undefined) await room;
    }
  }

  /** Ends our side; what the other one says still comes. */
  end(): void {
    if (!this.#writing) return;
    this.#host.send(dataFrame(this.id, new Uint8Array(), { fin: true }));
    this.#writing = false;
    this.#overWhenBoth();
  }

  /** Gives the stream up in both directions. */
  reset(status: number = RESET.cancelled): void {
    if (!this.#reading && !this.#writing) return;
    this.#host.send(resetFrame(this.id, status));
    this.lost(new SpdyError("the stream was given up"));
    this.#host.over();
  }

  /** What the other side still says is dropped, without a word to it. */
  discard(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#inbox.end();
    this.#host.readAgain();
    this.#overWhenBoth();
  }

  /** The connection's: false when more is unread than there is room for. */
  push(bytes: Uint8Array): boolean {
    return !this.#reading || this.#inbox.push(bytes);
  }

  /** The connection's: the other side ended. */
  endReading(): void {
    this.#reading = false;
    this.#inbox.end();
    // Reading what is left of it asks for nothing any more.
    this.#host.readAgain();
    this.#overWhenBoth();
  }

  /** The connection's: nothing goes over this stream any more. */
  lost(error: Error): void {
    if (this.#reading || this.#writing) this.#failure = error;
    this.#reading = false;
    this.#writing = false;
    this.#inbox.end();
  }

  #overWhenBoth(): void {
    if (!this.#reading && !this.#writing) this.#host.over();
  }
}
