import type { Clock, Fetch } from "../../lib/index.ts";
import { FRAME } from "./frame.ts";
import { FramedConnection, type FrameUser } from "./framed-connection.ts";
import {
  IncomingBody,
  responseHeadSchema,
  sendBody,
  type RequestHead,
  type ResponseHead,
} from "./http-body.ts";
import type { PeerExpectation } from "./node-link.ts";
import type { PeerDialer } from "./peer-dialer.ts";
import { PeerError } from "./peer-error.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { PeerPool } from "./peer-pool.ts";
import type { PeerSocket } from "./peer-socket.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

/** During an exchange both sides say something this often … */
export const HTTP_PING_AFTER_MS = 4_000;
/** … and give the other one up when it is silent for this long. */
export const HTTP_SILENCE_MS = 15_000;
/** Requests of many clients end together, with one write of the log: all of them come again. */
export const MAX_IDLE_PER_PEER = 512;
export const MAX_IDLE_MS = 30_000;
/** Requests to one peer at once; more fail at once. */
export const MAX_EXCHANGES_PER_PEER = 1_024;

/** Requests to peers, over connections that are kept between them. */
export class HttpClient {
  readonly #dialer: PeerDialer;
  readonly #clock: Clock;
  readonly #clusterId: string;
  readonly #maxExchanges: number;
  readonly #pools = new Map<string, PeerPool<HttpClientConnection>>();
  readonly #connections = new Set<HttpClientConnection>();
  #closed = false;

  constructor(dialer: PeerDialer, clock: Clock, clusterId: string, limits: PeerLimits = {}) {
    this.#dialer = dialer;
    this.#clock = clock;
    this.#clusterId = clusterId;
    this.#maxExchanges = limits.exchangesPerPeer ?? MAX_EXCHANGES_PER_PEER;
  }

  /** Connections of any state. */
  get size(): number {
    return this.#connections.size;
  }

  fetchFrom(address: string, expect: PeerExpectation): Fetch {
    const key = JSON.stringify([address, expect]);
    return (request) => this.#fetch(request, address, expect, key);
  }

  /** Called every few seconds. */
  sweep(): void {
    for (const connection of this.#connections) connection.sweep();
    for (const [key, pool] of this.#pools) {
      if (pool.idle.length === 0 && pool.exchanges === 0) this.#pools.delete(key);
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.cut("the link is closed");
  }

  async #fetch(
    request: Request,
    address: string,
    expect: PeerExpectation,
    key: string,
  ): Promise<Response> {
    request.signal.throwIfAborted();
    if (this.#closed) throw new PeerError("closed", "the link is closed");
    const pool =
      this.#pools.get(key) ??
      new PeerPool<HttpClientConnection>((asking) => this.#dial(address, expect, asking));
    this.#pools.set(key, pool);
    if (pool.exchanges >= this.#maxExchanges) {
      const why = `${this.#maxExchanges} requests to ${address} are under way`;
      throw new PeerError("overloaded", why);
    }
    pool.exchanges++;
    let left = false;
    const leave = (): void => {
      if (!left) pool.exchanges--;
      left = true;
    };
    try {
      const kept = pool.idle.pop();
      if (kept !== undefined) {
        try {
          return await kept.exchange(request, leave);
        } catch (error) {
          if (!this.#mayRepeat(request, error)) throw error;
        }
      }
      const connection = await pool.wait(request.signal);
      return await connection.exchange(request, leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** A kept connection may have been closed as the request was sent: reads are sent again. */
  #mayRepeat(request: Request, error: unknown): boolean {
    if (!(error instanceof PeerError) || error.code !== "broken") return false;
    const readOnly = request.method === "GET" || request.method === "HEAD";
    return readOnly && request.body === null && !request.signal.aborted;
  }

  #dial(address: string, expect: PeerExpectation, pool: PeerPool<HttpClientConnection>): void {
    this.#dialer.dial({
      address,
      expect,
      preface: { protocol: "http", version: PROTOCOL_VERSION, cluster: this.#clusterId },
      onDialled: ({ connection }) => {
        const made = this.#adopt(connection, address, pool);
        if (!pool.handOver(made)) pool.idle.push(made);
        pool.dialled();
      },
      onFailure: (error) => pool.failed(error),
    });
  }

  #adopt(
    connection: PeerSocket,
    address: string,
    pool: PeerPool<HttpClientConnection>,
  ): HttpClientConnection {
    const made: HttpClientConnection = new HttpClientConnection(connection, {
      clock: this.#clock,
      address,
      onIdle: () => {
        if (this.#closed) made.cut("the link is closed");
        else if (pool.handOver(made)) return;
        else if (pool.idle.length >= MAX_IDLE_PER_PEER) made.cut("idle");
        else pool.idle.push(made);
      },
      onGone: () => {
        this.#connections.delete(made);
        const index = pool.idle.indexOf(made);
        if (index !== -1) pool.idle.splice(index, 1);
      },
    });
    this.#connections.add(made);
    return made;
  }
}

interface HttpClientConnectionOptions {
  readonly clock: Clock;
  readonly address: string;
  readonly onIdle: () => void;
  readonly onGone: () => void;
}

/** One request from its sending to the end of its response. */
interface Exchange {
  readonly request: Request;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
  readonly onLeft: () => void;
  readonly onAbort: () => void;
  readonly stopBody: AbortController;
  body: IncomingBody | undefined;
  requestEnded: boolean;
}

class HttpClientConnection implements FrameUser {
  readonly #framed: FramedConnection;
  readonly #options: HttpClientConnectionOptions;
  #exchange: Exchange | undefined;
  #sinceMs: number;

  constructor(connection: PeerSocket, options: HttpClientConnectionOptions) {
    this.#options = options;
    const { clock } = options;
    this.#framed = new FramedConnection(connection, this, { clock, gather: "turn" });
    this.#sinceMs = clock.monotonic();
  }

  /** `onLeft` is called when the exchange is over, its response's body included. */
  exchange(request: Request, onLeft: () => void): Promise<Response> {
    return new Promise((resolve, reject) => {
      // It was handed over a moment ago: either may have ended meanwhile.
      if (this.#framed.closed) {
        reject(new PeerError("broken", `${this.#options.address}: closed before its use`));
        return;
      }
      if (request.signal.aborted) {
        this.#options.onIdle();
        reject(request.signal.reason as Error);
        return;
      }
      const exchange: Exchange = {
        request,
        resolve,
        reject,
        onLeft,
        onAbort: () => this.#abort(request.signal.reason),
        stopBody: new AbortController(),
        body: undefined,
        requestEnded: request.body === null,
      };
      this.#exchange = exchange;
      this.#framed.excuseSilence();
      request.signal.addEventListener("abort", exchange.onAbort, { once: true });
      const url = new URL(request.url);
      const head: RequestHead = {
        method: request.method,
        target: `${url.pathname}${url.search}`,
        headers: [...request.headers],
        body: request.body !== null,
      };
      this.#framed.send(FRAME.head, JSON.stringify(head));
      if (request.body === null) return;
      sendBody(this.#framed, request.body, exchange.stopBody.signal).then(
        () => this.#requestSent(exchange),
        (error: unknown) => {
          if (this.#exchange === exchange) this.#abort(error);
        },
      );
    });
  }

  onFrame(type: number, payload: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.cut("the peer spoke unasked");
    } else if (type === FRAME.head && exchange.body === undefined) {
      this.#begin(exchange, payload);
    } else if (type === FRAME.data && exchange.body !== undefined) {
      exchange.body.push(payload);
    } else if (type === FRAME.end && exchange.body !== undefined) {
      exchange.body.end();
      this.#end(exchange);
    } else if (type === FRAME.failed) {
      this.cut(payload.toString());
    } else {
      this.cut(`a frame of type ${type} was not expected`);
    }
  }

  onClose(reason: string): void {
    this.#fail(new PeerError("broken", `${this.#options.address}: ${reason}`, { delivered: true }));
  }

  cut(reason: string): void {
    this.#framed.destroy();
    this.onClose(reason);
  }

  sweep(): void {
    if (this.#exchange !== undefined) {
      this.#framed.keepAlive(HTTP_PING_AFTER_MS);
      if (this.#framed.silentMs() > HTTP_SILENCE_MS) this.cut("the peer is silent");
    } else if (this.#options.clock.monotonic() - this.#sinceMs > MAX_IDLE_MS) {
      this.cut("idle");
    }
  }

  #begin(exchange: Exchange, payload: Buffer): void {
    let response: Response;
    let head: ResponseHead;
    try {
      head = responseHeadSchema.parse(JSON.parse(payload.toString()));
      if (head.body) {
        exchange.body = new IncomingBody(this.#framed, () => this.#abort(undefined));
      }
      response = new Response(exchange.body?.stream ?? null, {
        status: head.status,
        statusText: head.statusText,
        headers: head.headers,
      });
    } catch {
      this.cut("not a response");
      return;
    }
    if (!head.body) this.#end(exchange);
    exchange.resolve(response);
  }

  #requestSent(exchange: Exchange): void {
    exchange.requestEnded = true;
  }

  #end(exchange: Exchange): void {
    this.#leave(exchange);
    this.#framed.resume();
    if (!exchange.requestEnded) {
      // The server did not wait for the rest: it closes the connection, and so do we.
      exchange.stopBody.abort();
      this.cut("the response came before the request's end");
      return;
    }
    this.#sinceMs = this.#options.clock.monotonic();
    this.#options.onIdle();
  }

  /** The caller is not interested any more: only an end of the connection tells the peer. */
  #abort(reason: unknown): void {
    this.#framed.destroy();
    this.#fail(reason);
  }

  #fail(error: unknown): void {
    this.#options.onGone();
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#leave(exchange);
    exchange.stopBody.abort();
    exchange.body?.fail(error instanceof Error ? error : new PeerError("broken", String(error)));
    exchange.reject(error);
  }

  #leave(exchange: Exchange): void {
    this.#exchange = undefined;
    exchange.request.signal.removeEventListener("abort", exchange.onAbort);
    exchange.onLeft();
  }
}
