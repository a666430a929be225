import type { Socket, SocketHandler } from "bun";
import {
  BODY_MALFORMED,
  BodyReader,
  HEAD_TOO_LARGE,
  HeadReader,
  NEED_MORE,
  Outlet,
  isFault,
  parseRequestHead,
  type RequestHead,
} from "../../lib/index.ts";
import type { ClientSocket } from "./client-socket.ts";
import { Exchange } from "./exchange.ts";
import type { EgressErrorCode } from "./egress-error.ts";
import { forwardedLines, jsonResponse, plainResponse } from "./head-writer.ts";
import { MAX_REQUEST_HEAD_BYTES, RETIRED_IDLE_MS, type HttpContext } from "./http-context.ts";
import type { RequestRouter } from "./request-target.ts";

/** Bytes a client may send ahead of its turn before its socket is no longer read. */
export const MAX_PIPELINED_BYTES = 256 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * - `head`: a request is awaited or its head is arriving
 * - `body`: the request's body is arriving
 * - `waiting`: the whole request is here, the answer is not complete
 * - `tunnel`: upgraded, bytes pass both ways
 * - `lingering`: the last answer was written, what still comes is dropped
 */
type ClientState = "head" | "body" | "waiting" | "tunnel" | "lingering" | "closed";

/**
 * One client, of Ingress or a pod's worker: reads its requests one after another and writes the
 * answers.
 */
export class ClientConnection {
  readonly #context: HttpContext;
  readonly router: RequestRouter;
  readonly #socket: ClientSocket;
  readonly #onGone: (() => void) | undefined;
  readonly #outlet: Outlet;
  readonly #reader = new HeadReader(MAX_REQUEST_HEAD_BYTES);
  readonly #address: string;
  #state: ClientState = "head";
  #lastActiveMs: number;
  #headSinceMs = 0;
  #exchange: Exchange | undefined;
  #body: BodyReader | undefined;
  #method = "GET";
  #keepAlive = false;
  /** Read, and not looked at yet because it is not its turn. */
  #unread: Buffer | undefined;
  #paused = false;
  #processing = false;
  #forwardedHost: string | undefined;
  #forwarded: Buffer = Buffer.alloc(0);

  constructor(
    context: HttpContext,
    socket: ClientSocket,
    router: RequestRouter,
    onGone?: () => void,
  ) {
    this.#context = context;
    this.router = router;
    this.#onGone = onGone;
    this.#socket = socket;
    this.#outlet = new Outlet(socket);
    this.#address = plainAddress(socket.remoteAddress);
    this.#lastActiveMs = context.coarseNowMs;
  }

  get requestComplete(): boolean {
    return this.#state !== "body";
  }

  /** A request was taken whose answer is not complete; tunnels have no end to wait for. */
  get busy(): boolean {
    return this.#state === "body" || this.#state === "waiting" || this.#state === "lingering";
  }

  touch(): void {
    this.#lastActiveMs = this.#context.coarseNowMs;
  }

  /** The lines that tell an endpoint who asked; a pod asks for itself. */
  forwardedFor(head: RequestHead): Buffer {
    const { door } = this.router;
    if (door === undefined) return NOTHING;
    if (head.host !== this.#forwardedHost) {
      this.#forwardedHost = head.host;
      this.#forwarded = forwardedLines(this.#address, head.host, door);
    }
    return this.#forwarded;
  }

  write(bytes: Uint8Array): boolean {
    return this.#outlet.write(bytes);
  }

  /** An answer of the proxy's own to the request at hand; a worker is told the code too. */
  answer(status: number, message: string, code: EgressErrorCode = "http-protocol-error"): void {
    const close = this.#closesAfterAnswer;
    const shown = this.router.side === "egress" ? { code } : {};
    this.#reply(plainResponse(status, message, { method: this.#method, close, ...shown }));
  }

  answerJson(value: unknown): void {
    const close = this.#closesAfterAnswer;
    this.#reply(jsonResponse(value, { method: this.#method, close }));
  }

  onExchangeDone(options: { keepAlive: boolean }): void {
    this.#exchange = undefined;
    if (this.#state === "closed") return;
    this.touch();
    if (!options.keepAlive || this.#state === "body" || this.#context.closing) {
      this.#linger();
      return;
    }
    this.#state = "head";
    this.#continue();
  }

  /** The exchange can take request body now. */
  onExchangeAccepting(): void {
    if (this.#exchange?.accepting === true) this.#continue();
  }

  onTunnel(): void {
    this.#state = "tunnel";
    this.#continue();
  }

  /** The endpoint ended its writing side of the tunnel. */
  finishTunnel(): void {
    this.#outlet.finish();
  }

  /** The endpoint's connection is gone: what it said before still reaches the client. */
  endTunnel(): void {
    this.#exchange = undefined;
    if (this.#state !== "closed") this.#linger();
  }

  /** Ends the connection without ceremony: a broken answer, a timeout, the end of the server. */
  cut(): void {
    if (this.#state === "closed") return;
    this.#socket.terminate();
    this.onClose();
  }

  onData(chunk: Buffer): void {
    // Who goes on sending what is dropped is not waited for.
    if (this.#state === "lingering") return;
    this.touch();
    if (this.#unread !== undefined) this.#keepUnread(Buffer.concat([this.#unread, chunk]));
    else this.#process(chunk);
  }

  onDrain(): void {
    this.touch();
    if (this.#outlet.flush()) this.#exchange?.onClientDrain();
  }

  onEnd(): void {
    // A client that ended its side waits for nothing, except on an upgraded connection; keeping a
    // silent stream for one that left would hold the endpoint for ever.
    if (this.#state === "tunnel") this.#exchange?.finishTunnel();
    else if (this.#state === "lingering" || this.#exchange === undefined) this.#end();
    else this.cut();
  }

  onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#context.clients.delete(this);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.abort();
    this.#onGone?.();
  }

  /** Called about once a second. */
  sweep(nowMs: number): void {
    const { timeouts, retiredMs } = this.#context;
    const silentMs = nowMs - this.#lastActiveMs;
    switch (this.#state) {
      case "head":
        if (this.#reader.started && nowMs - this.#headSinceMs > timeouts.headMs) {
          this.#refuse(408, "the request head took too long");
        } else if (silentMs > timeouts.idleMs) {
          this.cut();
        } else if (Math.min(silentMs, nowMs - (retiredMs ?? nowMs)) > RETIRED_IDLE_MS) {
          this.#end();
        }
        return;
      case "body":
      case "waiting":
        this.#sweepExchange(silentMs);
        return;
      case "tunnel":
        if (silentMs > timeouts.tunnelMs) this.cut();
        return;
      case "lingering":
        if (silentMs > timeouts.lingerMs) this.cut();
        return;
      case "closed":
    }
  }

  get #closesAfterAnswer(): boolean {
    return !this.#keepAlive || this.#state === "body";
  }

  #reply(bytes: Buffer): void {
    const keepAlive = !this.#closesAfterAnswer;
    this.#outlet.write(bytes);
    this.onExchangeDone({ keepAlive });
  }

  #sweepExchange(silentMs: number): void {
    const { timeouts } = this.#context;
    const exchange = this.#exchange;
    const answered = exchange?.answered === true;
    if (silentMs <= (answered ? timeouts.bodyMs : timeouts.responseMs)) return;
    if (answered || exchange === undefined) {
      this.cut();
      return;
    }
    // Once it is given up nobody knows who it was.
    const message = `${exchange.respondent} did not answer within ${timeouts.responseMs / 1000} s`;
    exchange.abort();
    this.#keepAlive = false;
    this.answer(504, message, "http-response-timeout");
  }

  #continue(): void {
    if (this.#processing) return;
    const chunk = this.#unread;
    this.#unread = undefined;
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (chunk !== undefined) this.#process(chunk);
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
  }

  /** The offset up to which the chunk is done with; undefined when all of it is. */
  #take(chunk: Buffer, at: number): number | undefined {
    switch (this.#state) {
      case "head":
        return this.#takeHead(chunk, at);
      case "body":
        return this.#takeBody(chunk, at);
      case "waiting":
        this.#keepUnread(chunk.subarray(at));
        return undefined;
      case "tunnel":
        if (this.#exchange?.forward(chunk.subarray(at)) === false) this.#pause();
        return undefined;
      case "lingering":
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
      if (next === HEAD_TOO_LARGE) {
        const code = "http-request-header-section-size";
        this.#refuse(431, "the request head is too large", code);
      } else this.#refuse(400, "malformed request head");
      return undefined;
    }
    const { bytes, start, end } = this.#reader;
    const head = parseRequestHead(bytes, start, end, this.router.side);
    if (isFault(head)) {
      this.#refuse(head.status, head.message);
      return undefined;
    }
    return this.#begin(head, chunk, next);
  }

  #begin(head: RequestHead, chunk: Buffer, at: number): number | undefined {
    const body = new BodyReader(head.framing);
    this.#method = head.method;
    this.#keepAlive = head.keepAlive && this.#context.retiredMs === undefined;
    const end = body.consume(chunk, at);
    if (end === BODY_MALFORMED) {
      this.#refuse(400, "malformed chunked body");
      return undefined;
    }
    this.#body = body;
    this.#state = body.done ? "waiting" : "body";
    const exchange = new Exchange(this.#context, this, head, chunk.subarray(at, end));
    this.#exchange = exchange;
    exchange.start();
    return end;
  }

  #takeBody(chunk: Buffer, at: number): number | undefined {
    const exchange = this.#exchange;
    const body = this.#body;
    if (exchange === undefined || body === undefined) return undefined;
    if (!exchange.accepting) {
      this.#keepUnread(chunk.subarray(at));
      this.#pause();
      return undefined;
    }
    const end = body.consume(chunk, at);
    if (end === BODY_MALFORMED) {
      exchange.abort();
      if (exchange.answered) this.cut();
      else this.#refuse(400, "malformed chunked body");
      return undefined;
    }
    if (body.done) this.#state = "waiting";
    if (!exchange.forward(chunk.subarray(at, end))) this.#pause();
    return end;
  }

  #keepUnread(bytes: Buffer): void {
    this.#unread = bytes;
    if (bytes.length > MAX_PIPELINED_BYTES || this.#state === "body") this.#pause();
    if (bytes.length > MAX_PIPELINED_BYTES * 8) this.cut();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #refuse(status: number, message: string, code?: EgressErrorCode): void {
    this.#keepAlive = false;
    if (this.#state === "head") this.#method = "GET";
    this.answer(status, message, code);
  }

  /** Ends the writing side and gives the client time to read the answer before all is closed. */
  #linger(): void {
    this.#state = "lingering";
    this.#unread = undefined;
    this.#outlet.finish();
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  #end(): void {
    this.#outlet.finishAndClose();
  }
}

/** Empty for who comes by a Unix socket. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

/** One set of callbacks for all clients; the connection is made in `open`. */
export function clientHandler(
  accept: (socket: ClientSocket) => ClientConnection | undefined,
): SocketHandler<ClientConnection> {
  return {
    open: (socket: Socket<ClientConnection>) => {
      const client = accept(socket);
      if (client !== undefined) socket.data = client;
    },
    data: (socket, chunk) => socket.data?.onData(chunk),
    drain: (socket) => socket.data?.onDrain(),
    end: (socket) => socket.data?.onEnd(),
    close: (socket) => socket.data?.onClose(),
    error: (socket) => socket.terminate(),
  };
}
