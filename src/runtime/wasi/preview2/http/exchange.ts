import type { HostClock } from "../../host/host-clock.ts";
import { IoFailure } from "../io/io-failure.ts";
import type { HttpHeaders } from "../preview-two.ts";
import { bodyAtHand, type BodyPipe } from "./body-pipe.ts";
import type { ConnectionUser, EgressConnection } from "./egress-connection.ts";
import { egressErrorCode } from "./egress-error.ts";
import type { EgressPool } from "./egress-pool.ts";
import { HttpError } from "./http-error.ts";
import type { PendingResponse, ReceivedResponse } from "./incoming-response.ts";
import {
  encodeChunk,
  encodeHead,
  encodeLastChunk,
  type EgressHead,
  type RequestFraming,
} from "./request-head.ts";
import { ReceivedBody } from "./received-body.ts";
import { ResponseParser, type ResponseEvents, type ResponseHead } from "./response-parser.ts";

/** Waited for a response's head, and between its bytes, when the guest says nothing. */
export const DEFAULT_TIMEOUT_MS = 600_000;

/** What may be sent again when a kept connection turns out to be closed (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);

export interface ExchangeOptions {
  readonly head: EgressHead;
  readonly body: BodyPipe | undefined;
  /** The length that the guest declared, when it did. */
  readonly declaredLength: number | undefined;
  readonly firstByteTimeoutMs: number | undefined;
  readonly betweenBytesTimeoutMs: number | undefined;
}

/** One request through the egress and its response. */
export class Exchange implements PendingResponse, ConnectionUser, ResponseEvents {
  readonly response: Promise<ReceivedResponse>;
  readonly #pool: EgressPool;
  readonly #clock: HostClock;
  readonly #options: ExchangeOptions;
  readonly #parser: ResponseParser;
  readonly #settle = Promise.withResolvers<ReceivedResponse>();
  readonly #trailers = Promise.withResolvers<HttpHeaders | undefined>();
  readonly #received: ReceivedBody;
  #connection: EgressConnection | undefined;
  #framing: RequestFraming = { kind: "none" };
  /** The whole request, as long as it may have to be sent again. */
  #replay: Uint8Array | undefined;
  #sent = false;
  #over = false;
  #answered = false;
  #refused: HttpError | undefined;
  #lastByteNs = 0n;
  #cancelTimer: (() => void) | undefined;

  /** Throws connection-limit-reached. */
  constructor(pool: EgressPool, clock: HostClock, options: ExchangeOptions) {
    pool.enter();
    this.#pool = pool;
    this.#clock = clock;
    this.#options = options;
    this.response = this.#settle.promise;
    this.#parser = new ResponseParser(options.head.method, this);
    this.#received = new ReceivedBody({
      room: ({ full }) => this.#connection?.setPaused({ paused: full }),
      close: () => this.abort(),
    });
    // Whoever does not ask for them is not told that they failed.
    this.#trailers.promise.catch(() => undefined);
    this.response.catch(() => undefined);
  }

  /** Sends the request. */
  start(): void {
    this.#lastByteNs = this.#clock.monotonicNs();
    this.#startTimer(this.#options.firstByteTimeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#send().catch((error: unknown) => this.#fail(asHttpError(error)));
  }

  abort(): void {
    this.#fail(new HttpError({ tag: "connection-terminated" }));
  }

  // What the connection says.

  received(chunk: Uint8Array): void {
    this.#lastByteNs = this.#clock.monotonicNs();
    this.#replay = undefined;
    try {
      this.#parser.push(chunk);
      if (this.#parser.done) this.#leave();
    } catch (error) {
      this.#fail(asHttpError(error));
    }
  }

  drained(): void {
    if (this.#sent) this.#pump();
  }

  closed(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    const replay = this.#replay;
    if (connection?.reused === true && replay !== undefined && !this.#parser.begun) {
      this.#replay = undefined;
      this.#connect({ fresh: true })
        .then((again) => again?.write(replay))
        .catch((error: unknown) => this.#fail(asHttpError(error)));
      return;
    }
    try {
      this.#parser.close();
      this.#leave();
    } catch (error) {
      this.#fail(asHttpError(error));
    }
  }

  // What the parser says.

  head(head: ResponseHead): void {
    this.#refused = refusalOf(head);
    if (this.#refused !== undefined) return;
    this.#answered = true;
    this.#startTimer(this.#options.betweenBytesTimeoutMs ?? DEFAULT_TIMEOUT_MS);
    const bytes = this.#received;
    const trailers = this.#trailers.promise;
    const body = { bytes, trailers, complete: () => bytes.complete };
    this.#settle.resolve({ ...head, body });
  }

  body(bytes: Uint8Array): void {
    if (this.#refused === undefined) this.#received.push(bytes);
  }

  end(trailers: HttpHeaders | undefined): void {
    if (this.#refused !== undefined) {
      this.#settle.reject(this.#refused);
      this.#options.body?.refuse(asFailure(this.#refused));
    }
    this.#trailers.resolve(trailers);
    this.#received.end();
  }

  /** The response is whole: the connection goes back, if nothing is left on it. */
  #leave(): void {
    const clean = this.#sent && this.#uploaded && this.#parser.keepAlive;
    const connection = this.#finish();
    if (connection === undefined) return;
    if (clean && connection.heldBytes === 0) this.#pool.give(connection);
    else connection.close();
  }

  get #uploaded(): boolean {
    const { body } = this.#options;
    return body === undefined || (body.ended?.kind === "finished" && body.heldBytes === 0);
  }

  async #send(): Promise<void> {
    const { body, head, declaredLength } = this.#options;
    if (body !== undefined && body.ended === undefined && !body.full) {
      await bodyAtHand(body, this.#clock);
    }
    const connection = await this.#connect({ fresh: false });
    if (connection === undefined) return;
    if (body?.ended?.kind === "broken") throw body.ended.reason;
    this.#framing = framingOf(head.method, body, declaredLength);
    const bytes = encodeHead(head, this.#framing);
    this.#sent = true;
    const end = body?.ended;
    if (body === undefined || (end?.kind === "finished" && this.#framing.kind !== "chunked")) {
      const content = body?.take();
      const whole = content === undefined ? bytes : Buffer.concat([bytes, content]);
      if (IDEMPOTENT.has(head.method)) this.#replay = whole;
      connection.write(whole);
      return;
    }
    connection.write(bytes);
    body.onChange(() => this.#pump());
    this.#pump();
  }

  /** A connection for this exchange; undefined when it is over meanwhile. */
  async #connect(options: { readonly fresh: boolean }): Promise<EgressConnection | undefined> {
    const taken = this.#pool.take(options);
    const connection = taken instanceof Promise ? await taken : taken;
    if (this.#over) {
      this.#pool.give(connection);
      return undefined;
    }
    connection.lend(this);
    this.#connection = connection;
    return connection;
  }

  /** Sends what the guest wrote, as fast as the socket takes it. */
  #pump(): void {
    const connection = this.#connection;
    const { body } = this.#options;
    if (connection === undefined || body === undefined || this.#over) return;
    while (connection.heldBytes === 0) {
      const bytes = body.take();
      if (bytes === undefined) break;
      connection.write(this.#framing.kind === "chunked" ? encodeChunk(bytes) : bytes);
    }
    const end = body.ended;
    if (end === undefined || body.heldBytes > 0) return;
    body.onChange(undefined);
    if (end.kind === "broken") this.#fail(asHttpError(end.reason));
    else if (this.#framing.kind === "chunked") connection.write(encodeLastChunk(end.trailers));
  }

  #startTimer(timeoutMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.after(timeoutMs, () => {
      const passedMs = Number(this.#clock.monotonicNs() - this.#lastByteNs) / 1e6;
      // A guest that does not read is slow itself; and bytes may have come in between.
      if (this.#received.full) this.#startTimer(timeoutMs);
      else if (passedMs < timeoutMs) this.#startTimer(timeoutMs - passedMs);
      else this.#fail(new HttpError({ tag: "connection-read-timeout" }));
    });
  }

  #fail(error: HttpError): void {
    if (this.#over) return;
    const reason = this.#refused ?? error;
    this.#settle.reject(reason);
    this.#trailers.reject(reason);
    if (this.#answered) this.#received.fail(asFailure(reason));
    this.#options.body?.refuse(asFailure(reason));
    this.#finish()?.close();
  }

  #finish(): EgressConnection | undefined {
    if (this.#over) return undefined;
    this.#over = true;
    this.#cancelTimer?.();
    this.#options.body?.onChange(undefined);
    this.#options.body?.refuse(asFailure(new HttpError({ tag: "connection-terminated" })));
    this.#pool.leave();
    const connection = this.#connection;
    this.#connection = undefined;
    return connection;
  }
}

function framingOf(
  method: string,
  body: BodyPipe | undefined,
  declaredLength: number | undefined,
): RequestFraming {
  const end = body?.ended;
  if (body === undefined || end?.kind === "broken") {
    return method === "POST" || method === "PUT" || method === "PATCH"
      ? { kind: "length", bytes: 0 }
      : { kind: "none" };
  }
  if (end !== undefined && end.trailers === undefined) {
    const bytes = body.heldBytes;
    const bare = bytes === 0 && (method === "GET" || method === "HEAD");
    return bare ? { kind: "none" } : { kind: "length", bytes };
  }
  if (declaredLength !== undefined && end === undefined) {
    return { kind: "length", bytes: declaredLength };
  }
  return { kind: "chunked" };
}

function refusalOf({ headers }: ResponseHead): HttpError | undefined {
  const found = headers.find(([name]) => name.toLowerCase() === "x-kubun-egress-error");
  if (found === undefined) return undefined;
  return new HttpError(egressErrorCode(Buffer.from(found[1]).toString("latin1")));
}

function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HttpError({ tag: "internal-error", val: message }, { cause: error });
}

function asFailure(error: HttpError): IoFailure {
  return new IoFailure(error.message, { kind: "http", code: error.code });
}
