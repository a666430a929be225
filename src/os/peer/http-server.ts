import type { Clock, Logger } from "../../lib/index.ts";
import { FRAME } from "./frame.ts";
import { FramedConnection, type FrameUser } from "./framed-connection.ts";
import {
  IncomingBody,
  MAX_HEAD_BYTES,
  requestHeadSchema,
  sendBody,
  type RequestHead,
  type ResponseHead,
} from "./http-body.ts";
import { HTTP_PING_AFTER_MS, HTTP_SILENCE_MS } from "./http-client.ts";
import type { PeerHttpHandler, PeerIdentity } from "./node-link.ts";
import { PeerError } from "./peer-error.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { answerLine, type Refusal } from "./peer-listener.ts";
import type { PeerSocket } from "./peer-socket.ts";

/** Connections that serve HTTP at once; more are refused. */
export const MAX_HTTP_CONNECTIONS = 4_096;

/** Answers the requests of verified peers, one at a time on each connection. */
export class HttpServer {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #maxConnections: number;
  readonly #connections = new Set<HttpServerConnection>();
  handler: PeerHttpHandler | undefined;

  constructor(clock: Clock, logger: Logger, limits: PeerLimits = {}) {
    this.#clock = clock;
    this.#logger = logger;
    this.#maxConnections = limits.httpConnections ?? MAX_HTTP_CONNECTIONS;
  }

  get size(): number {
    return this.#connections.size;
  }

  accept(connection: PeerSocket, peer: PeerIdentity): Refusal | undefined {
    const { handler } = this;
    if (handler === undefined)
      return { refused: "no requests are served here yet", temporary: true };
    if (this.#connections.size >= this.#maxConnections) {
      return { refused: `${this.#maxConnections} connections are open`, temporary: true };
    }
    connection.write(answerLine({ ok: true }));
    const served = new HttpServerConnection({
      connection,
      clock: this.#clock,
      handle: (request) => handler(request, peer),
      onError: (error) => {
        this.#logger.error("a peer's request failed", { peer: peer.commonName, error });
      },
      onGone: () => this.#connections.delete(served),
    });
    this.#connections.add(served);
    return undefined;
  }

  /** Called every few seconds. */
  sweep(): void {
    for (const connection of this.#connections) connection.sweep();
  }

  close(): void {
    for (const connection of this.#connections) connection.cut("the server closes");
  }
}

interface HttpServerConnectionOptions {
  readonly connection: PeerSocket;
  readonly clock: Clock;
  readonly handle: (request: Request) => Promise<Response>;
  readonly onError: (error: unknown) => void;
  readonly onGone: () => void;
}

/** One request from its head to the end of its response. */
interface ServedExchange {
  readonly abort: AbortController;
  readonly body: IncomingBody | undefined;
  requestEnded: boolean;
}

class HttpServerConnection implements FrameUser {
  readonly #framed: FramedConnection;
  readonly #options: HttpServerConnectionOptions;
  #exchange: ServedExchange | undefined;

  constructor(options: HttpServerConnectionOptions) {
    this.#options = options;
    this.#framed = new FramedConnection(options.connection, this, {
      clock: options.clock,
      gather: "turn",
    });
  }

  onFrame(type: number, payload: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      if (type === FRAME.head) this.#begin(payload);
      else this.cut(`a frame of type ${type} outside of a request`);
    } else if (type === FRAME.data && exchange.body !== undefined && !exchange.requestEnded) {
      exchange.body.push(payload);
    } else if (type === FRAME.end && !exchange.requestEnded) {
      exchange.requestEnded = true;
      exchange.body?.end();
    } else {
      this.cut(`a frame of type ${type} inside of a request`);
    }
  }

  onClose(reason: string): void {
    this.#options.onGone();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange === undefined) return;
    const error = new PeerError("broken", reason);
    exchange.abort.abort(error);
    if (!exchange.requestEnded) exchange.body?.fail(error);
  }

  sweep(): void {
    if (this.#exchange === undefined) return;
    this.#framed.keepAlive(HTTP_PING_AFTER_MS);
    if (this.#framed.silentMs() > HTTP_SILENCE_MS) this.cut("the peer is silent");
  }

  cut(reason: string): void {
    this.#framed.destroy();
    this.onClose(reason);
  }

  #begin(payload: Buffer): void {
    let head: RequestHead;
    let request: Request;
    const abort = new AbortController();
    let body: IncomingBody | undefined;
    try {
      if (payload.length > MAX_HEAD_BYTES) throw new Error("the head is too long");
      head = requestHeadSchema.parse(JSON.parse(payload.toString()));
      // A handler that loses interest in the body loses the connection, which must not wait.
      body = head.body ? new IncomingBody(this.#framed, () => this.#framed.resume()) : undefined;
      request = new Request(`http://peer${head.target}`, {
        method: head.method,
        headers: head.headers,
        signal: abort.signal,
        ...(body === undefined ? {} : { body: body.stream, duplex: "half" }),
      });
    } catch (error) {
      this.#options.onError(error);
      this.cut("not a request");
      return;
    }
    const exchange: ServedExchange = { abort, body, requestEnded: !head.body };
    this.#exchange = exchange;
    this.#serve(request, exchange).catch((error: unknown) => {
      if (this.#exchange !== exchange) return;
      this.#options.onError(error);
      this.#framed.send(FRAME.failed, error instanceof Error ? error.message : String(error));
      this.#exchange = undefined;
      exchange.abort.abort();
      this.#options.onGone();
      this.#framed.finish();
    });
  }

  async #serve(request: Request, exchange: ServedExchange): Promise<void> {
    const response = await this.#options.handle(request);
    if (this.#exchange !== exchange) {
      await response.body?.cancel();
      return;
    }
    const head: ResponseHead = {
      status: response.status,
      statusText: response.statusText,
      headers: [...response.headers],
      body: response.body !== null,
    };
    this.#framed.send(FRAME.head, JSON.stringify(head));
    if (response.body !== null) {
      await sendBody(this.#framed, response.body, exchange.abort.signal);
    }
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    if (exchange.requestEnded) return;
    // The rest of the request would be taken for the next one.
    this.#options.onGone();
    this.#framed.finish();
  }
}
