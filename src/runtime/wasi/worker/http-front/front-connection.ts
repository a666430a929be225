import {
  BODY_MALFORMED,
  BodyReader,
  HEAD_TOO_LARGE,
  HeadReader,
  isFault,
  NEED_MORE,
  Outlet,
  parseRequestHead,
  type OutletSocket,
  type RequestHead,
} from "../../../../lib/index.ts";
import { answerHead, isOwnField } from "./answer-head.ts";
import {
  MAX_AHEAD_BYTES,
  MAX_DISCARDED_BYTES,
  MAX_HEAD_BYTES,
  type FrontContext,
} from "./front-context.ts";
import { FrontExchange, type ExchangeConnection } from "./front-exchange.ts";

/** What of a socket a connection uses. */
export interface FrontSocket extends OutletSocket {
  pause(): void;
  resume(): void;
  readonly remoteAddress?: string | undefined;
}

/**
 * - `head`: a request is awaited or its head is arriving
 * - `exchange`: a request is under way; its body may still be arriving
 * - `tunnel`: upgraded, bytes pass both ways
 * - `discard`: the answer is out, what is left of the request's body is dropped
 * - `linger`: the last answer was written, what still comes is dropped
 */
type State = "head" | "exchange" | "tunnel" | "discard" | "linger" | "closed";

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** One client: its requests are read and answered one after another. */
export class FrontConnection implements ExchangeConnection {
  readonly outlet: Outlet;
  /** The container's. */
  readonly port: number;
  readonly #context: FrontContext;
  readonly #socket: FrontSocket;
  readonly #reader = new HeadReader(MAX_HEAD_BYTES);
  #state: State = "head";
  #lastActiveMs: number;
  #headSinceMs = 0;
  #exchange: FrontExchange | undefined;
  #body: BodyReader | undefined;
  /** The client waits for a word before it sends its body. */
  #expectsContinue = false;
  #discarded = 0;
  /** Read, and not looked at yet because it is not its turn. */
  #unread: Buffer | undefined;
  #paused = false;
  #processing = false;

  constructor(context: FrontContext, socket: FrontSocket, port: number) {
    this.port = port;
    this.#context = context;
    this.#socket = socket;
    this.outlet = new Outlet(socket);
    this.#lastActiveMs = context.coarseNowMs;
  }

  get remoteAddress(): string {
    const address = this.#socket.remoteAddress ?? "";
    return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  }

  /** A client that was never told to send its body may send it or not: that cannot be known. */
  get reusable(): boolean {
    return !this.#context.draining && !this.#expectsContinue;
  }

  // What the socket says.

  onData(chunk: Buffer): void {
    // Who goes on sending what is dropped is not waited for.
    if (this.#state === "linger") return;
    this.touch();
    if (this.#unread !== undefined) this.#keepUnread(Buffer.concat([this.#unread, chunk]));
    else this.#process(chunk);
  }

  onDrain(): void {
    this.touch();
    this.outlet.flush();
    this.#exchange?.drained();
  }

  /** A client that ended its side waits for nothing, unless the connection is upgraded. */
  onEnd(): void {
    switch (this.#state) {
      case "tunnel":
        this.#exchange?.receivedAll(undefined);
        return;
      case "exchange":
        this.cut();
        return;
      case "head":
      case "discard":
      case "linger":
        this.outlet.finishAndClose();
        return;
      case "closed":
    }
  }

  onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#unread = undefined;
    this.#context.connections.delete(this);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.lost();
  }

  cut(): void {
    if (this.#state === "closed") return;
    this.#socket.terminate();
    this.onClose();
  }

  /** Called about once a second. */
  sweep(nowMs: number): void {
    const { timeouts } = this.#context;
    const silentMs = nowMs - this.#lastActiveMs;
    switch (this.#state) {
      case "head":
        if (this.#reader.started && nowMs - this.#headSinceMs > timeouts.headMs) {
          this.#refuse(408, "the request head took too long");
        } else if (silentMs > timeouts.idleMs) {
          this.cut();
        }
        return;
      case "exchange":
      case "tunnel":
        // Who answers has deadlines of its own, until only the client is waited for.
        if (this.#waitsForClient && silentMs > timeouts.idleMs) this.cut();
        return;
      case "discard":
      case "linger":
        if (silentMs > timeouts.lingerMs) this.cut();
        return;
      case "closed":
    }
  }

  get #waitsForClient(): boolean {
    return this.#exchange?.written === true || !this.outlet.empty;
  }

  // What the exchange says.

  touch(): void {
    this.#lastActiveMs = this.#context.coarseNowMs;
  }

  sendContinue(): void {
    if (!this.#expectsContinue || this.#exchange?.answered === true) return;
    this.#expectsContinue = false;
    this.outlet.write(CONTINUE);
  }

  onTunnel(): void {
    // It is over already when the guest had nothing more to say.
    if (this.#state !== "exchange") return;
    this.#state = "tunnel";
    this.#continue();
  }

  onDone({ keepAlive }: { readonly keepAlive: boolean }): void {
    this.#exchange = undefined;
    if (this.#state === "closed") return;
    this.touch();
    const complete = this.#body === undefined || this.#body.done;
    if (!keepAlive || (!complete && this.#discarded > MAX_DISCARDED_BYTES)) {
      this.#linger();
      return;
    }
    this.#state = complete ? "head" : "discard";
    // A guest may be in the midst of letting a body go: another is not called from inside of it.
    queueMicrotask(() => this.#continue());
  }

  /** Reads on, or stops reading, by what is held for whom. */
  reconsider(): void {
    const full = this.#exchange?.body?.full === true;
    const ahead = (this.#unread?.length ?? 0) > MAX_AHEAD_BYTES;
    const unwanted = this.#discarded > MAX_DISCARDED_BYTES && this.#state === "exchange";
    const crowded = this.#context.crowded && this.#exchange?.starving !== true;
    const paused = full || ahead || unwanted || crowded;
    if (paused === this.#paused || this.#state === "closed") return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  #continue(): void {
    if (this.#processing) return;
    const chunk = this.#unread;
    this.#unread = undefined;
    if (chunk !== undefined) this.#process(chunk);
    else this.reconsider();
  }

  #process(chunk: Buffer): void {
    this.#processing = true;
    let at = 0;
    while (at < chunk.length) {
      const next = this.#take(chunk, at);
      if (next === undefined) break;
      at = next;
    }
    this.#processing = false;
    this.reconsider();
  }

  /** The offset up to which the chunk is done with; undefined when all of it is. */
  #take(chunk: Buffer, at: number): number | undefined {
    switch (this.#state) {
      case "head":
        return this.#takeHead(chunk, at);
      case "exchange":
        if (this.#body !== undefined && !this.#body.done) return this.#takeBody(chunk, at);
        this.#keepUnread(chunk.subarray(at));
        return undefined;
      case "discard":
        return this.#takeBody(chunk, at);
      case "tunnel":
        this.#exchange?.received(chunk.subarray(at));
        return undefined;
      case "linger":
      case "closed":
        return undefined;
    }
  }

  #takeHead(chunk: Buffer, at: number): number | undefined {
    const wasStarted = this.#reader.started;
    const next = this.#reader.push(chunk, at);
    if (next === NEED_MORE) {
      if (!wasStarted) this.#headSinceMs = this.#context.coarseNowMs;
      return undefined;
    }
    if (next < 0) {
      if (next === HEAD_TOO_LARGE) this.#refuse(431, "the request head is too large");
      else this.#refuse(400, "malformed request head");
      return undefined;
    }
    const { bytes, start, end } = this.#reader;
    const head = parseRequestHead(bytes, start, end, "pod");
    if (isFault(head)) {
      this.#refuse(head.status, head.message);
      return undefined;
    }
    return this.#begin(head, chunk, next);
  }

  /** What of a body came with its head is there when the guest is called. */
  #begin(head: RequestHead, chunk: Buffer, at: number): number | undefined {
    this.#state = "exchange";
    this.#discarded = 0;
    const exchange = new FrontExchange(this.#context, this, head);
    this.#exchange = exchange;
    let next: number | undefined = at;
    if (head.framing.type === "none") {
      this.#body = undefined;
      this.#expectsContinue = false;
    } else {
      this.#body = new BodyReader(head.framing, { keepTrailers: true });
      this.#expectsContinue = head.fields.expectContinue && head.version === 11;
      if (at < chunk.length) {
        next = this.#takeBody(chunk, at);
        if (next === undefined) return undefined;
      }
    }
    this.#context.handle(exchange);
    return next;
  }

  #takeBody(chunk: Buffer, at: number): number | undefined {
    const body = this.#body;
    if (body === undefined) return undefined;
    this.#expectsContinue = false;
    const exchange = this.#exchange;
    const end = body.consume(chunk, at, (bytes, from, to) => {
      if (exchange?.body === undefined || exchange.body.closed) this.#discarded += to - from;
      else exchange.received(bytes.subarray(from, to));
    });
    if (end === BODY_MALFORMED) {
      this.#refuse(400, "malformed chunked body");
      return undefined;
    }
    if (body.done) {
      // What would say how long the body was comes too late to be believed.
      exchange?.receivedAll(body.trailers?.filter(([name]) => !isOwnField(name)));
      if (this.#state === "discard") this.#state = "head";
    } else if (this.#state === "discard" && this.#discarded > MAX_DISCARDED_BYTES) {
      this.#linger();
    }
    return end;
  }

  #keepUnread(bytes: Buffer): void {
    this.#unread = bytes;
    this.reconsider();
  }

  /** What cannot be read ends the connection, for where the next request begins is not known. */
  #refuse(status: number, message: string): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange?.answered === true || this.#state === "discard") {
      this.#exchange = exchange;
      this.cut();
      return;
    }
    exchange?.lost();
    const text = `${message}\n`;
    const own = `Content-Length: ${text.length}\r\nConnection: close\r\n`;
    const fields = [["Content-Type", Buffer.from("text/plain")]] as const;
    this.outlet.write(Buffer.from(answerHead(status, fields, own) + text, "latin1"));
    this.#linger();
  }

  /** Ends the writing side and gives the client time to read the answer before all is closed. */
  #linger(): void {
    this.#state = "linger";
    this.#unread = undefined;
    this.#discarded = 0;
    this.outlet.finish();
    this.reconsider();
  }
}
