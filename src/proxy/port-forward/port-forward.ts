import type { SocketHandler } from "bun";
import { unreachable } from "../../lib/index.ts";
import { FORWARD_HANDLER, ForwardedConnection } from "./forwarded-connection.ts";
import { EmptyHeaderWriter, HeaderInflater } from "./header-block.ts";
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
  windowUpdateFrame,
} from "./spdy-frames.ts";

/** The WebSocket subprotocol under which kubectl (since 1.31) forwards ports. */
export const PORT_FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io";

/** A WebSocket as far as it is needed here; what comes in is told to the session. */
export interface MessageSocket {
  /** One binary message. False: it is sent, but the next one should wait for `drained`. */
  send(bytes: Uint8Array): boolean;
  close(code: number, reason: string): void;
}

export interface PortForwardOptions {
  readonly socket: MessageSocket;
  /** Opens a port of the pod; shaped like `Bun.connect`, as the proxy's own dialling is. */
  readonly dial: <Data>(port: number, data: Data, handler: SocketHandler<Data>) => void;
}

export interface PortForwardSession {
  message(bytes: Uint8Array): void;
  /** The socket takes more again. */
  drained(): void;
  /** The client is gone. */
  closed(): void;
}

/** Connections through one session at the same time; further ones are refused. */
export const MAX_FORWARDED_CONNECTIONS = 256;
/** Bytes that came and wait for their turn: the protocol has no way to slow kubectl down. */
export const MAX_WAITING_BYTES = 32 * 1024 * 1024;
const MAX_DATA_BYTES = 32 * 1024;
const PROTOCOL_ERROR = 1002;
const MAX_PORT = 65_535;

/**
 * The server's side of `kubectl port-forward`: SPDY/3.1 inside of WebSocket messages, whose borders
 * mean nothing. For each connection kubectl opens two streams of one request id: `data` carries the
 * bytes both ways, `error` a message when the pod could not be reached.
 */
export function servePortForward(options: PortForwardOptions): PortForwardSession {
  return new Session(options);
}

interface Stream {
  readonly id: number;
  readonly kind: "data" | "error";
  readonly port: number;
  readonly requestId: string;
}

interface Forward {
  data?: Stream;
  error?: Stream;
  readonly connection: ForwardedConnection;
  dataEnded: boolean;
}

class Session implements PortForwardSession {
  readonly #options: PortForwardOptions;
  readonly #reader = new FrameReader();
  readonly #headers = new HeaderInflater();
  readonly #replies = new EmptyHeaderWriter();
  readonly #streams = new Map<number, Stream>();
  readonly #forwards = new Map<string, Forward>();
  #waiting: SpdyFrame[] = [];
  #waitingBytes = 0;
  #working = false;
  #full = false;
  #closed = false;

  constructor(options: PortForwardOptions) {
    this.#options = options;
  }

  message(bytes: Uint8Array): void {
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

  drained(): void {
    this.#full = false;
    for (const { connection } of this.#forwards.values()) connection.resume();
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#headers.close();
    for (const { connection } of this.#forwards.values()) connection.cut();
    this.#forwards.clear();
    this.#streams.clear();
  }

  /** In order: a stream's data must not overtake its headers, which are read in the background. */
  async #work(): Promise<void> {
    this.#working = true;
    try {
      while (this.#waiting.length > 0 && !this.#closed) {
        const frames = this.#waiting;
        this.#waiting = [];
        this.#waitingBytes = 0;
        for (const frame of frames) {
          if (!this.#closed) await this.#handle(frame);
        }
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#working = false;
  }

  /** Only a new stream has to be waited for. */
  #handle(frame: SpdyFrame): Promise<void> | undefined {
    switch (frame.type) {
      case "syn-stream":
        return this.#open(frame);
      case "headers":
        // Part of the compressed stream, whatever it says.
        return this.#headers.read(frame.headerBlock).then(() => undefined);
      case "data":
        this.#data(frame);
        return undefined;
      case "reset":
        this.#reset(frame.streamId);
        return undefined;
      case "ping":
        // Odd ids are the client's questions, even ones would be answers.
        if (frame.id % 2 === 1) this.#send(pingFrame(frame.id));
        return undefined;
      case "other":
        return undefined;
      default:
        return unreachable(frame);
    }
  }

  async #open(frame: Extract<SpdyFrame, { type: "syn-stream" }>): Promise<void> {
    const headers = await this.#headers.read(frame.headerBlock);
    if (this.#closed) return;
    const stream = describeStream(frame.streamId, headers);
    const forward = stream === undefined ? undefined : this.#forwards.get(stream.requestId);
    if (stream === undefined || forward?.[stream.kind] !== undefined) {
      this.#send(resetFrame(frame.streamId, RESET.protocolError));
      return;
    }
    if (forward === undefined && this.#forwards.size >= MAX_FORWARDED_CONNECTIONS) {
      this.#send(resetFrame(frame.streamId, RESET.refused));
      return;
    }
    const pair: Forward = forward ?? this.#newForward(stream.requestId);
    pair[stream.kind] = stream;
    this.#forwards.set(stream.requestId, pair);
    this.#streams.set(stream.id, stream);
    this.#send(synReplyFrame(stream.id, this.#replies.next()));
    if (pair.data !== undefined && pair.error !== undefined) {
      this.#options.dial(pair.data.port, pair.connection, FORWARD_HANDLER);
    }
    if (frame.fin && stream.kind === "data") pair.connection.endWriting();
  }

  /** It is dialled when both of its streams are there; what comes before is held. */
  #newForward(requestId: string): Forward {
    const forward: Forward = {
      dataEnded: false,
      connection: new ForwardedConnection({
        sendData: (chunk) => {
          this.#sendData(forward, chunk);
          return !this.#full;
        },
        endData: () => this.#endData(forward),
        finished: (failure) => this.#finish(requestId, failure),
      }),
    };
    return forward;
  }

  #sendData({ data }: Forward, chunk: Buffer): void {
    if (data === undefined) return;
    for (let at = 0; at < chunk.length; at += MAX_DATA_BYTES) {
      const part = chunk.subarray(at, at + MAX_DATA_BYTES);
      this.#send(dataFrame(data.id, part, { fin: false }));
    }
  }

  #endData(forward: Forward): void {
    if (forward.dataEnded || forward.data === undefined) return;
    forward.dataEnded = true;
    this.#send(dataFrame(forward.data.id, new Uint8Array(), { fin: true }));
  }

  #finish(requestId: string, failure: string | undefined): void {
    const forward = this.#forwards.get(requestId);
    if (forward === undefined || this.#closed) return;
    const { data, error } = forward;
    if (error !== undefined) {
      const port = data?.port ?? 0;
      const text = failure === undefined ? "" : `port ${port} of the pod: ${failure}`;
      this.#send(dataFrame(error.id, Buffer.from(text), { fin: true }));
    }
    this.#endData(forward);
    this.#forget(requestId, forward);
  }

  #forget(requestId: string, { data, error }: Forward): void {
    this.#forwards.delete(requestId);
    if (data !== undefined) this.#streams.delete(data.id);
    if (error !== undefined) this.#streams.delete(error.id);
  }

  #data({ streamId, payload, fin }: Extract<SpdyFrame, { type: "data" }>): void {
    if (payload.length > 0) {
      // Clients that count are told that there is room again.
      this.#send(windowUpdateFrame(streamId, payload.length));
      this.#send(windowUpdateFrame(0, payload.length));
    }
    const stream = this.#streams.get(streamId);
    if (stream?.kind !== "data") return;
    const connection = this.#forwards.get(stream.requestId)?.connection;
    if (payload.length > 0) connection?.write(payload);
    if (fin) connection?.endWriting();
  }

  #reset(streamId: number): void {
    const stream = this.#streams.get(streamId);
    const forward = stream === undefined ? undefined : this.#forwards.get(stream.requestId);
    if (stream === undefined || forward === undefined) return;
    forward.connection.cut();
    this.#forget(stream.requestId, forward);
  }

  #send(frame: Buffer): void {
    if (this.#closed) return;
    if (this.#options.socket.send(frame) || this.#full) return;
    this.#full = true;
    for (const { connection } of this.#forwards.values()) connection.pause();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    const reason = error instanceof SpdyError ? error.message : "the session failed";
    this.#send(goAwayFrame(0, RESET.protocolError));
    this.closed();
    this.#options.socket.close(PROTOCOL_ERROR, reason);
  }
}

/** Undefined for what is no stream of a forwarded port. */
function describeStream(id: number, headers: ReadonlyMap<string, string>): Stream | undefined {
  const kind = headers.get("streamtype");
  const port = Number(headers.get("port"));
  const requestId = headers.get("requestid") ?? "";
  if (kind !== "data" && kind !== "error") return undefined;
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT || requestId === "") return undefined;
  return { id, kind, port, requestId };
}
