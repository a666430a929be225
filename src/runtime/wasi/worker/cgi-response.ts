import type { OutputStream } from "../host/streams.ts";

/** Header bytes a guest may send. */
export const MAX_HEADER_BYTES = 64 * 1024;
/** Body bytes held before the guest has to wait for the client. */
export const BODY_HIGH_WATER = 64 * 1024;
/** A response that is not complete after this long is streamed. */
export const STREAM_AFTER_MS = 20;

/** What a guest answered that is no CGI response; the message goes to the log. */
export class CgiError extends Error {
  override readonly name = "CgiError";
}

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();

/**
 * A guest's standard output read as a CGI response (RFC 3875 section 6): `Status`, `Content-Type`,
 * `Location` and other fields, an empty line, the body. A short response becomes one answer with
 * its length; what takes longer is streamed, and a slow client makes the guest wait.
 */
export class CgiResponse implements OutputStream {
  readonly kind = "output";
  readonly lineBuffered = false;
  /** Resolves when the head is known and the body complete or worth streaming. */
  readonly response: Promise<Response>;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: CgiError) => void;
  #head: { readonly status: number; readonly headers: Headers } | undefined;
  #pending: Uint8Array = EMPTY;
  #answered = false;
  #gone = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #roomWaiter: (() => void) | undefined;

  readonly #cancelled: () => void;

  /** `cancelled` is called when the client does not want the rest. */
  constructor(cancelled: () => void) {
    this.#cancelled = cancelled;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#gone) return undefined;
    if (this.#controller !== undefined) {
      this.#controller.enqueue(Uint8Array.from(bytes));
      return this.#room();
    }
    this.#pending =
      this.#pending.length === 0 ? Uint8Array.from(bytes) : joined(this.#pending, bytes);
    if (this.#head === undefined) this.#readHead();
    if (this.#head === undefined || this.#pending.length < BODY_HIGH_WATER) return undefined;
    this.stream();
    return this.#room();
  }

  /** Answers with what is there and streams the rest; does nothing while the head is incomplete. */
  stream(): void {
    const head = this.#head;
    if (head === undefined || this.#answered) return;
    this.#answered = true;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          if (this.#pending.length > 0) controller.enqueue(this.#pending);
          this.#pending = EMPTY;
        },
        pull: () => this.#wake(),
        cancel: () => {
          this.#gone = true;
          this.#cancelled();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: BODY_HIGH_WATER }),
    );
    this.#resolve(new Response(body, head));
  }

  /** The guest ended well: the body is complete. */
  end(): void {
    if (this.#controller !== undefined) {
      if (!this.#gone) this.#controller.close();
    } else if (this.#head === undefined) {
      this.fail(new CgiError("the guest ended without the empty line that ends a CGI header"));
    } else if (!this.#answered) {
      this.#answered = true;
      this.#resolve(new Response(this.#pending as Uint8Array<ArrayBuffer>, this.#head));
    }
  }

  /** The guest failed: an answer not begun is rejected, one under way is broken off. */
  fail(error: CgiError): void {
    if (this.#answered) {
      if (!this.#gone) this.#controller?.error(error);
      this.#gone = true;
    } else this.#reject(error);
    this.#answered = true;
    this.#wake();
  }

  #room(): void | Promise<void> {
    if ((this.#controller?.desiredSize ?? 1) > 0 || this.#gone) return undefined;
    return new Promise((resolve) => {
      this.#roomWaiter = resolve;
    });
  }

  #wake(): void {
    this.#roomWaiter?.();
    this.#roomWaiter = undefined;
  }

  #readHead(): void {
    const end = headEnd(this.#pending);
    if (end === undefined) {
      if (this.#pending.length > MAX_HEADER_BYTES) {
        throw new CgiError(`the CGI header is longer than ${MAX_HEADER_BYTES} bytes`);
      }
      return;
    }
    this.#head = parseHead(decoder.decode(this.#pending.subarray(0, end.head)));
    this.#pending = this.#pending.subarray(end.body);
  }
}

function headEnd(bytes: Uint8Array): { readonly head: number; readonly body: number } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [short, long] = [buffer.indexOf("\n\n"), buffer.indexOf("\r\n\r\n")];
  if (short >= 0 && (long < 0 || short < long)) return { head: short, body: short + 2 };
  return long >= 0 ? { head: long, body: long + 4 } : undefined;
}

/** Fields about the connection are the server's to write. */
const HOP_BY_HOP = new Set(["connection", "transfer-encoding", "keep-alive", "upgrade", "trailer"]);

/** Throws {@link CgiError} for a line that is no field, or a status that is no status. */
export function parseHead(text: string): { readonly status: number; readonly headers: Headers } {
  const headers = new Headers();
  let status: number | undefined;
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new CgiError(`the CGI header has the line ${JSON.stringify(line)}`);
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "status") status = parseStatus(value);
    else if (!HOP_BY_HOP.has(name)) appendField(headers, name, value);
  }
  if (status === undefined) status = headers.has("location") ? 302 : 200;
  return { status, headers };
}

function appendField(headers: Headers, name: string, value: string): void {
  try {
    headers.append(name, value);
  } catch (error) {
    throw new CgiError(`the CGI header has the field ${JSON.stringify(name)}: ${String(error)}`);
  }
}

function parseStatus(value: string): number {
  const status = /^\d{3}/.test(value) ? Number(value.slice(0, 3)) : 0;
  if (status < 200 || status > 599) {
    throw new CgiError(`the CGI status is ${JSON.stringify(value)}; want 200 to 599`);
  }
  return status;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
