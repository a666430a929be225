import type { Clock, Logger } from "../../lib/index.ts";
import { StoreError } from "../../mvcc/index.ts";

/** PEM texts. */
export interface EtcdTls {
  /** The authority of etcd's certificates; the system's authorities when absent. */
  readonly ca?: string;
  /** The client certificate, when etcd asks for one, and its key. */
  readonly certificate?: string;
  readonly privateKey?: string;
}

export interface EtcdClientOptions {
  /** Origins, "https://HOST:PORT"; all of one etcd cluster. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What became of a request that failed. */
export class EtcdError extends Error {
  override readonly name = "EtcdError";
  /** The gRPC status code; undefined when etcd did not answer. */
  readonly code: number | undefined;
  /** Whether etcd may have done it. */
  readonly delivered: boolean;

  constructor(message: string, options: { code?: number; delivered: boolean }) {
    super(message);
    this.code = options.code;
    this.delivered = options.delivered;
  }
}

/** gRPC status codes that etcd answers with. */
const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
const OUT_OF_RANGE = 11;
const UNAVAILABLE = 14;

/** Etcd itself gives up after 7 s. */
export const REQUEST_TIMEOUT_MS = 10_000;
const MAX_ERROR_CHARACTERS = 512;
/** A line of a watch is at most a fragment (2 MiB), in base64. */
const MAX_LINE_CHARACTERS = 64 * 1024 * 1024;

/** No byte of the request can have reached etcd. */
const NOT_SENT = new Set([
  "ConnectionRefused",
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "FailedToOpenSocket",
]);

/** Calls etcd's JSON gateway: one endpoint while it answers, else the next. */
export class EtcdClient {
  readonly #options: EtcdClientOptions;
  #at = 0;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
  }

  /**
   * Reads may be asked for again elsewhere; a write only when nobody can have done it.
   * @throws EtcdError
   */
  async call(
    path: string,
    body: object,
    options: { readonly repeatable: boolean },
  ): Promise<unknown> {
    const { endpoints } = this.#options;
    let failure: unknown;
    for (let attempt = 0; attempt < endpoints.length; attempt++) {
      try {
        return await this.#callOnce(path, body);
      } catch (error) {
        failure = error;
        const known = error instanceof EtcdError ? error : undefined;
        const silent = known?.code === undefined || known.code === UNAVAILABLE;
        if (!silent) throw error;
        this.moveOn();
        if (known?.delivered !== false && !options.repeatable) throw error;
      }
    }
    throw failure;
  }

  /** The results of a streaming call, from one endpoint until it ends. @throws EtcdError */
  async *stream(path: string, body: object, signal: AbortSignal): AsyncGenerator {
    const response = await this.#send(path, body, signal);
    if (!response.ok) throw await errorOf(response);
    for await (const line of linesOf(response.body ?? [])) yield resultOf(line);
  }

  /** Another endpoint from now on, where there is one. */
  moveOn(): void {
    this.#at = (this.#at + 1) % this.#options.endpoints.length;
  }

  async #callOnce(path: string, body: object): Promise<unknown> {
    const timeout = new AbortController();
    const cancel = this.#options.clock.after(REQUEST_TIMEOUT_MS, () => timeout.abort());
    try {
      const response = await this.#send(path, body, timeout.signal);
      if (!response.ok) throw await errorOf(response);
      return await response.json();
    } catch (error) {
      if (error instanceof EtcdError) throw error;
      throw notAnswered(`etcd did not answer ${path}: ${messageOf(error)}`, true);
    } finally {
      cancel();
    }
  }

  async #send(path: string, body: object, signal: AbortSignal): Promise<Response> {
    const { endpoints, tls } = this.#options;
    const endpoint = endpoints[this.#at] ?? "";
    try {
      return await fetch(`${endpoint}${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        signal,
        ...(tls === undefined ? {} : { tls: tlsOf(tls) }),
      });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      const message = `etcd at ${endpoint} does not answer: ${messageOf(error)}`;
      throw notAnswered(message, !NOT_SENT.has(code));
    }
  }
}

/** The lines of a body; a long one is put together once, however many parts it comes in. */
async function* linesOf(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let characters = 0;
  for await (const bytes of body) {
    const lines = decoder.decode(bytes, { stream: true }).split("\n");
    for (const [index, piece] of lines.entries()) {
      if (index > 0) {
        const line = parts.join("");
        [parts, characters] = [[], 0];
        if (line !== "") yield line;
      }
      parts.push(piece);
      characters += piece.length;
    }
    if (characters > MAX_LINE_CHARACTERS) throw notAnswered("a line of a watch has no end", true);
  }
}

function tlsOf({ ca, certificate, privateKey }: EtcdTls): Record<string, string> {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
  };
}

function notAnswered(message: string, delivered: boolean): EtcdError {
  return new EtcdError(message, { delivered });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface ErrorBody {
  readonly code?: number;
  readonly grpc_code?: number;
  readonly error?: string;
  readonly message?: string;
}

async function errorOf(response: Response): Promise<EtcdError> {
  const text = await response.text();
  return errorOfBody(parse(text) as ErrorBody, text, response.status);
}

function errorOfBody(body: ErrorBody | undefined, text: string, status: number): EtcdError {
  const code = body?.grpc_code ?? body?.code;
  const message = body?.message ?? body?.error ?? text.slice(0, MAX_ERROR_CHARACTERS);
  const options = { delivered: true, ...(code === undefined ? {} : { code }) };
  return new EtcdError(message === "" ? `etcd answered ${status}` : message, options);
}

function resultOf(line: string): unknown {
  const parsed = parse(line) as { result?: unknown; error?: ErrorBody } | undefined;
  if (parsed?.result !== undefined) return parsed.result;
  throw errorOfBody(parsed?.error, line, 0);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // A proxy's page or plain text: the caller quotes it.
  }
}

/** A write's failure as the store tells it: what is not known to be refused may have been done. */
export function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (!(error instanceof EtcdError)) return new StoreError("unavailable", messageOf(error));
  const { code, message } = error;
  switch (code ?? UNAVAILABLE) {
    case NOT_FOUND:
      return new StoreError("lease-missing", message);
    case INVALID_ARGUMENT:
      return new StoreError("too-large", message);
    case OUT_OF_RANGE:
      return new StoreError(/future/.test(message) ? "future-revision" : "compacted", message);
    case RESOURCE_EXHAUSTED:
      if (/too large|larger than max/.test(message)) return new StoreError("too-large", message);
      return new StoreError(/space/.test(message) ? "read-only" : "overloaded", message);
    case DEADLINE_EXCEEDED:
    case UNAVAILABLE:
    default:
      return new StoreError(error.delivered ? "unavailable" : "overloaded", message);
  }
}
