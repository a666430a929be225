import type { OutputStream } from "../host/streams.ts";
import { isToken } from "../preview2/http/fields.ts";
import type { HttpHeaders } from "../preview2/preview-two.ts";
import type { Answer, AnswerBody, AnswerEnd } from "./http-front/answer.ts";
import { isOwnField } from "./http-front/answer-head.ts";

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
export class CgiResponse implements OutputStream, AnswerBody {
  readonly kind = "output";
  readonly lineBuffered = false;
  /** Resolves when the head is known and the body complete or worth streaming. */
  readonly response: Promise<Answer>;
  readonly #resolve: (response: Answer) => void;
  readonly #reject: (error: CgiError) => void;
  readonly #cancelled: () => void;
  #head: CgiHead | undefined;
  /** What came and was not taken: the head as long as it is not whole, then the body. */
  #pending: Uint8Array = EMPTY;
  #answered = false;
  #streaming = false;
  #gone = false;
  #ended: AnswerEnd | undefined;
  #onChange: (() => void) | undefined;
  #roomWaiter: (() => void) | undefined;

  /** `cancelled` is called when the client does not want the rest. */
  constructor(cancelled: () => void) {
    this.#cancelled = cancelled;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  // The guest's side.

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#gone) return undefined;
    this.#pending =
      this.#pending.length === 0 ? Uint8Array.from(bytes) : joined(this.#pending, bytes);
    if (this.#head === undefined) this.#readHead();
    if (this.#streaming) this.#onChange?.();
    else if (this.#head !== undefined && this.#pending.length >= BODY_HIGH_WATER) this.stream();
    return this.#room();
  }

  /** Answers with what is there and streams the rest; does nothing while the head is incomplete. */
  stream(): void {
    const head = this.#head;
    if (head === undefined || this.#answered) return;
    this.#answered = true;
    this.#streaming = true;
    this.#resolve({ ...head, body: this });
  }

  /** The guest ended well: the body is complete. */
  end(): void {
    if (this.#streaming) this.#finish({ kind: "finished", trailers: undefined });
    else if (this.#head === undefined) {
      this.fail(new CgiError("the guest ended without the empty line that ends a CGI header"));
    } else if (!this.#answered) {
      this.#answered = true;
      this.#resolve({ ...this.#head, body: this.#pending });
    }
  }

  /** The guest failed: an answer not begun is rejected, one under way is broken off. */
  fail(error: CgiError): void {
    if (!this.#answered) this.#reject(error);
    this.#answered = true;
    this.#gone = true;
    this.#finish({ kind: "broken", reason: error });
    this.#wake();
  }

  // The side of who sends it.

  take(): Uint8Array | undefined {
    if (this.#pending.length === 0) return undefined;
    // A guest may write as much as its memory holds in one call.
    const bytes = this.#pending.subarray(0, BODY_HIGH_WATER);
    this.#pending = this.#pending.subarray(bytes.length);
    if (this.#pending.length < BODY_HIGH_WATER) this.#wake();
    return bytes;
  }

  get heldBytes(): number {
    return this.#pending.length;
  }

  get ended(): AnswerEnd | undefined {
    return this.#ended;
  }

  onChange(callback: (() => void) | undefined): void {
    this.#onChange = callback;
  }

  cancel(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#pending = EMPTY;
    this.#wake();
    this.#cancelled();
  }

  #finish(end: AnswerEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    if (end.kind === "broken") this.#pending = EMPTY;
    this.#onChange?.();
  }

  #room(): void | Promise<void> {
    if (!this.#streaming || this.#gone || this.#pending.length < BODY_HIGH_WATER) return undefined;
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

export interface CgiHead {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly declaredLength: number | undefined;
}

/** Throws {@link CgiError} for a line that is no field, or a status that is no status. */
export function parseHead(text: string): CgiHead {
  const headers: (readonly [string, Uint8Array])[] = [];
  let status: number | undefined;
  let redirects = false;
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new CgiError(`the CGI header has the line ${JSON.stringify(line)}`);
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    checkField(name, value);
    redirects ||= name === "location";
    if (name === "status") status = parseStatus(value);
    else if (!isOwnField(name)) headers.push([name, Buffer.from(value)]);
  }
  // The length of what the guest writes is counted, not believed.
  return { status: status ?? (redirects ? 302 : 200), headers, declaredLength: undefined };
}

function checkField(name: string, value: string): void {
  // Anything below a space would end the field, or the head.
  const valid = isToken(name) && !/[^\P{Cc}\t]/u.test(value);
  if (!valid) throw new CgiError(`the CGI header has the field ${JSON.stringify(name)}: ${value}`);
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
