import { randomInteger, sleep } from "../lib/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";

export interface FailoverFetchOptions {
  /** Base URLs such as `https://10.0.0.1:6443`; asked for at each request. */
  readonly servers: () => readonly string[];
  /** One request to one server; its URL begins with the server's. */
  readonly fetchTo: (server: string, request: Request) => Promise<Response>;
  readonly clock: Clock;
  /** Spreads clients over the servers, and their returns over time. */
  readonly random: Random;
  readonly logger: Logger;
}

/** How often all servers are tried for one request. */
export const MAX_ROUNDS = 2;
/** Between two rounds, up to twice this. */
const ROUND_PAUSE_MS = 250;
/** A server that has not begun to answer a read by then is left for another. */
export const READ_ANSWER_TIMEOUT_MS = 15_000;
/** Writes wait for a leader (10 s) on the server's side. */
export const WRITE_ANSWER_TIMEOUT_MS = 30_000;
/** A caller that gives up after this long has met a silent server, not changed its mind. */
const SILENT_MS = 5_000;
/** Requests are kept whole, so that they can be sent again. */
export const MAX_REPEATABLE_BODY_BYTES = 16 * 1024 * 1024;

/** No byte of the request can have reached a server. */
const NOT_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EADDRNOTAVAIL",
]);
const READS = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Sends requests to one of several servers that are all whole: stays with a server while it
 * answers, and goes on to the next when it cannot be reached, is silent, or knows no leader (503).
 * Reads are repeated elsewhere; a write only when it was certainly not done, because the connection
 * was refused or a 503 with Retry-After said so. Once another server answered, watches of the one
 * that was left are broken, so that whoever reads them resumes at the new one.
 */
export function createFailoverFetch(options: FailoverFetchOptions): Fetch {
  const failover = new Failover(options);
  return (request) => failover.send(request);
}

type Outcome =
  | { readonly type: "answer"; readonly response: Response }
  /** Nothing was done there, or it does not matter. */
  | { readonly type: "elsewhere"; readonly give: () => Promise<Response> }
  /** Whether it was done is unknown. */
  | { readonly type: "unknown"; readonly error: unknown };

class Failover {
  readonly #options: FailoverFetchOptions;
  /** Ways to break the watches under way, by server. */
  readonly #watches = new Map<string, Set<(why: Error) => void>>();
  #current: string | undefined;

  constructor(options: FailoverFetchOptions) {
    this.#options = options;
  }

  async send(request: Request): Promise<Response> {
    const { clock, random } = this.#options;
    const body = await repeatableBody(request);
    let give = (): Promise<Response> => Promise.reject(new Error("no server is known"));
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (round > 0) await sleep(clock, ROUND_PAUSE_MS * (1 + random.float()), request.signal);
      for (const server of this.#inOrder()) {
        if (request.signal.aborted) throw request.signal.reason;
        const outcome = await this.#attempt(server, request, body);
        if (outcome.type === "answer") {
          this.#stayWith(server);
          return outcome.response;
        }
        this.#leave(server);
        if (outcome.type === "unknown") throw outcome.error;
        give = outcome.give;
      }
    }
    return give();
  }

  /** Every server once, the current one first. */
  #inOrder(): readonly string[] {
    const servers = this.#options.servers();
    const at = this.#current === undefined ? -1 : servers.indexOf(this.#current);
    const first = at === -1 ? randomInteger(this.#options.random, servers.length) : at;
    this.#current = servers[first];
    return [...servers.slice(first), ...servers.slice(0, first)];
  }

  async #attempt(
    server: string,
    request: Request,
    body: Uint8Array<ArrayBuffer> | undefined,
  ): Promise<Outcome> {
    const { clock, fetchTo } = this.#options;
    const isRead = READS.has(request.method);
    const limitMs = isRead ? READ_ANSWER_TIMEOUT_MS : WRITE_ANSWER_TIMEOUT_MS;
    const abort = new AbortController();
    const cancel = clock.after(limitMs, () =>
      abort.abort(new Error(`${server} did not answer within ${limitMs} ms`)),
    );
    const begunMs = clock.monotonic();
    const signal = AbortSignal.any([request.signal, abort.signal]);
    try {
      const response = await raceAbort(
        fetchTo(server, sameRequest(server, request, body, signal)),
        signal,
      );
      return await this.#judge(server, request, response, abort);
    } catch (error) {
      if (request.signal.aborted) {
        if (clock.monotonic() - begunMs >= SILENT_MS) this.#leave(server);
        throw error;
      }
      if (!isRead && !isNotSent(error)) return { type: "unknown", error };
      return { type: "elsewhere", give: () => Promise.reject(error) };
    } finally {
      cancel();
    }
  }

  async #judge(
    server: string,
    request: Request,
    response: Response,
    abort: AbortController,
  ): Promise<Outcome> {
    const isRead = READS.has(request.method);
    if (response.status === 503 && (isRead || response.headers.has("retry-after"))) {
      // Kept whole: if no other server does better, it is the answer.
      const { status, headers } = response;
      const text = await response.arrayBuffer();
      return {
        type: "elsewhere",
        give: () => Promise.resolve(new Response(text, { status, headers })),
      };
    }
    const isWatch = ["true", "1"].includes(new URL(request.url).searchParams.get("watch") ?? "");
    if (!isWatch || !response.ok || response.body === null) return { type: "answer", response };
    return { type: "answer", response: this.#breakable(server, response, response.body, abort) };
  }

  /** The same response with a body that {@link #stayWith} another server can break. */
  #breakable(
    server: string,
    { status, headers }: Response,
    body: ReadableStream<Uint8Array>,
    abort: AbortController,
  ): Response {
    const watches = this.#watches.get(server) ?? new Set();
    this.#watches.set(server, watches);
    const reader = body.getReader();
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    const breakIt = (why: Error): void => {
      broken.reject(why);
      abort.abort(why);
    };
    const release = (): void => {
      watches.delete(breakIt);
      if (watches.size === 0 && this.#watches.get(server) === watches) this.#watches.delete(server);
    };
    watches.add(breakIt);
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await Promise.race([reader.read(), broken.promise]);
          if (!done) return controller.enqueue(value);
          release();
          controller.close();
        } catch (error) {
          release();
          controller.error(error);
        }
      },
      cancel(reason) {
        release();
        return reader.cancel(reason);
      },
    });
    return new Response(stream, { status, headers });
  }

  /** An answer from the current server: nobody needs to wait for others any more. */
  #stayWith(server: string): void {
    // What an earlier server answered late moves nobody back.
    if (this.#current !== server) return;
    for (const [other, watches] of this.#watches) {
      if (other === server) continue;
      const why = new Error(`the watch of ${other} is resumed at ${server}`);
      for (const breakIt of watches) breakIt(why);
    }
  }

  #leave(server: string): void {
    // Nobody moves twice for what one server did to several requests.
    if (this.#current !== server) return;
    const servers = this.#options.servers();
    this.#current = servers[(servers.indexOf(server) + 1) % servers.length];
    if (this.#current === server) return;
    this.#options.logger.info("another server is used", { left: server, next: this.#current });
  }
}

async function repeatableBody(request: Request): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (request.body === null) return undefined;
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length > MAX_REPEATABLE_BODY_BYTES) {
    const limit = `at most ${MAX_REPEATABLE_BODY_BYTES} can be sent`;
    throw new Error(`the request has a body of ${bytes.length} bytes: ${limit}`);
  }
  return bytes;
}

function sameRequest(
  server: string,
  request: Request,
  body: Uint8Array<ArrayBuffer> | undefined,
  signal: AbortSignal,
): Request {
  const { pathname, search } = new URL(request.url);
  return new Request(server.replace(/\/+$/, "") + pathname + search, {
    method: request.method,
    headers: request.headers,
    signal,
    ...(body === undefined ? {} : { body }),
  });
}

/** A server in this process may not look at the signal. */
function raceAbort(work: Promise<Response>, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Whether a failed fetch can have brought nothing to the server. */
function isNotSent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The peers' own transport says it outright.
  if ("delivered" in error) return error.delivered === false;
  const code = "code" in error ? String(error.code) : "";
  return NOT_SENT.has(code) || code === "ConnectionRefused" || code === "FailedToOpenSocket";
}
