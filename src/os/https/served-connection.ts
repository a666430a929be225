import type { Socket } from "bun";
import {
  BODY_MALFORMED,
  BodyReader,
  ByteInbox,
  fieldEntries,
  HEAD_TOO_LARGE,
  HeadReader,
  isFault,
  NEED_MORE,
  Outlet,
  parseRequestHead,
  type RequestHead,
} from "../../lib/index.ts";
import type { PresentedCertificate } from "./presented-certificate.ts";
import {
  headText,
  keepsConnection,
  plainAnswer,
  sendAnswer,
  type AnswerWriter,
} from "./answer-writer.ts";

/** What is known of the one who makes a request. */
export interface Caller {
  readonly address: string;
  /** What the client showed in the handshake; undefined for nothing. */
  readonly certificate: PresentedCertificate | undefined;
}

/** A connection behind an upgrade. */
export interface RawSocket {
  /** False: it is sent, but what follows should wait for `drained`. */
  write(bytes: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Closes it once everything is written. */
  end(): void;
}

export interface RawSession {
  data(bytes: Uint8Array): void;
  drained(): void;
  /** The client is gone, or ended its side. */
  closed(): void;
}

export interface TakeOver {
  /** Fields of the answer 101; without them the session writes an answer of its own. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly open: (socket: RawSocket) => RawSession;
}

/** What all connections of a door share. */
export interface ConnectionContext {
  readonly handle: (request: Request, caller: Caller) => Promise<Response>;
  /** By which connection a request came, until that is taken over. */
  readonly came: WeakMap<Request, ServedConnection>;
  readonly connections: Set<ServedConnection>;
  now(): number;
  /** The time as an HTTP date, of this second. */
  readonly date: string;
  /** Takes no further request on any connection. */
  leaving: boolean;
}

export const MAX_HEAD_BYTES = 64 * 1024;
/** Requests above this are refused; image uploads are the largest. */
export const MAX_BODY_BYTES = 1024 * 1024 * 1024;
/** How long a head or a handshake may take, and how long the last bytes may. */
export const HEAD_WITHIN_MS = 30_000;
export const LINGER_MS = 5_000;
/** How long a connection without a request stays; clients' own limits are shorter. */
export const IDLE_MS = 600_000;
/** What a client may send ahead of its turn. */
const MAX_AHEAD_BYTES = 256 * 1024;
/** What waits to be sent to a client that reads slowly, where nobody can wait for it. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

interface Exchange {
  readonly request: ServedRequest;
  readonly head: RequestHead;
  readonly body: BodyReader;
  readonly inbox: ByteInbox | undefined;
  received: number;
  answered: boolean;
}

/** One client: reads its requests one after another and writes the answers. */
export class ServedConnection implements AnswerWriter, RawSocket {
  readonly #socket: Socket<ServedConnection>;
  readonly #context: ConnectionContext;
  readonly #outlet: Outlet;
  readonly #reader = new HeadReader(MAX_HEAD_BYTES);
  readonly #address: string;
  #certificate: PresentedCertificate | undefined;
  #state: "head" | "busy" | "raw" | "ending" | "closed" = "head";
  #sinceMs: number;
  #exchange: Exchange | undefined;
  #session: RawSession | undefined;
  #unread: Buffer | undefined;
  #waiting: (() => void) | undefined;
  #served = false;
  onGone: (() => void) | undefined;

  constructor(socket: Socket<ServedConnection>, context: ConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#outlet = new Outlet(socket, { maxHeldBytes: MAX_HELD_BYTES });
    this.#address = socket.remoteAddress.replace(/^::ffff:/, "");
    this.#sinceMs = context.now();
  }

  /** A request is being answered, or somebody else has the connection. */
  get busy(): boolean {
    return this.#state === "busy" || this.#state === "raw";
  }

  get closed(): boolean {
    return this.#state === "closed" || this.#state === "ending";
  }

  get date(): string {
    return this.#context.date;
  }

  onHandshake(certificate: PresentedCertificate | undefined): void {
    this.#certificate = certificate;
  }

  onData(chunk: Buffer): void {
    if (this.#state === "raw") this.#session?.data(chunk);
    else if (this.#unread !== undefined) this.#keep(Buffer.concat([this.#unread, chunk]));
    else this.#process(chunk);
  }

  onDrain(): void {
    if (!this.#outlet.flush()) return;
    this.#wake();
    this.#session?.drained();
  }

  /** Nobody who ended his side waits for an answer. */
  onEnd(): void {
    if (this.#state === "raw") this.#outlet.finishAndClose();
    else if (this.#state === "busy") this.#socket.terminate();
    else this.#socket.end();
    if (this.busy) this.onClose();
  }

  onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#context.connections.delete(this);
    const session = this.#session;
    this.#session = undefined;
    session?.closed();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) {
      exchange.request.abandon();
      if (!exchange.body.done) exchange.inbox?.fail(new Error("the client is gone"));
    }
    this.#wake();
    this.onGone?.();
  }

  cut(): void {
    this.#socket.terminate();
    this.onClose();
  }

  sweep(nowMs: number): void {
    const sinceMs = nowMs - this.#sinceMs;
    const reads = this.#reader.started || !this.#served;
    if (this.#state === "head" && sinceMs > (reads ? HEAD_WITHIN_MS : IDLE_MS)) this.cut();
    else if (this.#state === "ending" && sinceMs > LINGER_MS) this.cut();
  }

  /** False when the request's answer has begun or its body is still coming. */
  takeOver(request: Request, { headers, open }: TakeOver): boolean {
    const exchange = this.#exchange;
    if (exchange?.request !== request || exchange.answered || !exchange.body.done) return false;
    this.#exchange = undefined;
    this.#state = "raw";
    if (headers !== undefined) {
      this.write(Buffer.from(headText(101, Object.entries(headers)), "latin1"));
    }
    const early = this.#unread;
    this.#unread = undefined;
    this.#session = open(this);
    this.#socket.resume();
    if (early !== undefined) this.#session.data(early);
    return true;
  }

  write(bytes: Uint8Array): boolean {
    return this.#outlet.write(bytes);
  }

  writable(): Promise<void> {
    if (this.#outlet.empty || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#outlet.finishAndClose();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  #process(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const exchange = this.#exchange;
      if (this.#state === "head") at = this.#takeHead(chunk, at);
      else if (this.#state === "raw") return this.#session?.data(chunk.subarray(at));
      else if (this.#state !== "busy" || exchange === undefined) return;
      else if (exchange.body.done) return this.#keep(chunk.subarray(at));
      else at = this.#takeBody(exchange, chunk, at);
    }
  }

  /** What comes ahead of its turn. */
  #keep(bytes: Buffer): void {
    this.#unread = bytes;
    if (bytes.length > MAX_AHEAD_BYTES) this.pause();
  }

  #takeHead(chunk: Buffer, at: number): number {
    if (!this.#reader.started) this.#sinceMs = this.#context.now();
    const next = this.#reader.push(chunk, at);
    if (next === NEED_MORE) return chunk.length;
    if (next < 0) {
      const large = next === HEAD_TOO_LARGE;
      this.#refuse(large ? 431 : 400, large ? "the head is too large" : "malformed request head");
      return chunk.length;
    }
    const { bytes, start, end } = this.#reader;
    const head = parseRequestHead(bytes, start, end, "egress");
    if (isFault(head)) {
      this.#refuse(head.status, head.message);
      return chunk.length;
    }
    if (head.framing.type === "length" && head.framing.bytes > MAX_BODY_BYTES) {
      this.#refuse(413, "the body is too large");
      return chunk.length;
    }
    return this.#begin(head, chunk, next);
  }

  #begin(head: RequestHead, chunk: Buffer, at: number): number {
    this.#state = "busy";
    this.#served = true;
    const body = new BodyReader(head.framing);
    const parts: Buffer[] = [];
    const end = body.consume(chunk, at, (bytes, from, to) => parts.push(bytes.subarray(from, to)));
    if (end === BODY_MALFORMED) {
      this.#refuse(400, "malformed chunked body");
      return chunk.length;
    }
    const inbox = body.done
      ? undefined
      : new ByteInbox({ onRoom: () => this.resume(), onCancel: () => this.resume() });
    for (const part of parts) inbox?.push(part);
    const request = requestOf(head, inbox?.stream ?? wholeBody(parts));
    const exchange = { request, head, body, inbox, received: end - at, answered: false };
    this.#exchange = exchange;
    if (head.fields.expectContinue && !body.done) {
      this.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    this.#context.came.set(request, this);
    void this.#serve(exchange);
    return end;
  }

  #takeBody(exchange: Exchange, chunk: Buffer, at: number): number {
    let room = true;
    const end = exchange.body.consume(chunk, at, (bytes, from, to) => {
      room = exchange.inbox?.push(bytes.subarray(from, to)) ?? true;
    });
    exchange.received += end - at;
    if (end === BODY_MALFORMED || exchange.received > MAX_BODY_BYTES) {
      this.cut();
      return chunk.length;
    }
    if (exchange.body.done) exchange.inbox?.end();
    else if (!room) this.pause();
    return end;
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { handle } = this.#context;
    const caller = { address: this.#address, certificate: this.#certificate };
    const answer = await handle(exchange.request, caller).catch(() => plainAnswer(500, "failed"));
    if (this.#exchange !== exchange) {
      // Somebody took the connection over, or the client is gone.
      await answer.body?.cancel().catch(() => undefined);
      return;
    }
    exchange.answered = true;
    const { method, keepAlive, version } = exchange.head;
    const may = keepAlive && exchange.body.done && !this.#context.leaving;
    const keep = keepsConnection(answer, { keep: may });
    const whole = await sendAnswer(this, answer, { method, version, keep }).catch(() => false);
    if (this.#exchange !== exchange) return;
    if (!whole) return this.cut();
    this.#exchange = undefined;
    if (!keep || this.#context.leaving) return this.#finish();
    this.#state = "head";
    this.#sinceMs = this.#context.now();
    const unread = this.#unread;
    if (unread === undefined) return;
    this.#unread = undefined;
    this.resume();
    this.#process(unread);
  }

  #refuse(status: number, why: string): void {
    this.#state = "busy";
    const said = { method: "GET", version: 11, keep: false } as const;
    void sendAnswer(this, plainAnswer(status, why), said).then(() => this.#finish());
  }

  /** Ends the writing side; the client has a moment to read the last answer. */
  #finish(): void {
    this.#state = "ending";
    this.#sinceMs = this.#context.now();
    this.#unread = undefined;
    this.resume();
    this.#outlet.finish();
  }
}

function wholeBody(parts: readonly Buffer[]): Uint8Array<ArrayBuffer> | undefined {
  const [only] = parts;
  if (only === undefined) return undefined;
  return new Uint8Array(parts.length === 1 ? only : Buffer.concat(parts));
}

/** Its signal is made when somebody asks for it, which few do. */
class ServedRequest extends Request {
  #gone = false;
  #abort: AbortController | undefined;

  override get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#gone) this.#abort.abort();
    return this.#abort.signal;
  }

  /** Its client left. */
  abandon(): void {
    this.#gone = true;
    this.#abort?.abort();
  }
}

function requestOf(
  head: RequestHead,
  body: ReadableStream | Uint8Array<ArrayBuffer> | undefined,
): ServedRequest {
  const { bytes, fieldsStart, end, method, host, target } = head;
  const headers = fieldEntries(bytes, fieldsStart, end - 2).map(
    ([name, value]): [string, string] => [name, value.toString("latin1")],
  );
  const url = `https://${host === "" ? "localhost" : host}${target}`;
  if (body === undefined || method === "GET" || method === "HEAD") {
    return new ServedRequest(url, { method, headers });
  }
  // Streams need the last one, which the types do not know.
  const init = { method, headers, body, duplex: "half" };
  return new ServedRequest(url, init);
}
