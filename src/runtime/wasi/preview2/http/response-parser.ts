import type { HttpHeaders } from "../preview-two.ts";
import { isToken } from "./fields.ts";
import { HttpError } from "./http-error.ts";

/** Bytes of a response's head, and of its trailers. */
export const MAX_SECTION_BYTES = 64 * 1024;
/** A chunk's size with its extensions. */
const MAX_CHUNK_LINE_BYTES = 1024;
/** 1xx responses before the one that counts. */
const MAX_INFORMATIONAL = 16;

export interface ResponseHead {
  readonly status: number;
  readonly headers: HttpHeaders;
}

/** What a response is made of, in order: one head, bytes, one end. */
export interface ResponseEvents {
  head(head: ResponseHead): void;
  body(bytes: Uint8Array): void;
  end(trailers: HttpHeaders | undefined): void;
}

type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

type State =
  | "head"
  | "length"
  | "chunk-line"
  | "chunk"
  | "chunk-end"
  | "trailers"
  | "close"
  | "done";

const EMPTY = Buffer.alloc(0);
const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: [^\r\n]*)?$/;

/** Reads one HTTP/1.1 response (RFC 9112) as it comes. Methods throw HttpError. */
export class ResponseParser {
  readonly #events: ResponseEvents;
  readonly #method: string;
  #state: State = "head";
  /** The beginning of a line or section whose end has not come. */
  #rest: Buffer = EMPTY;
  #left = 0;
  #keepAlive = true;
  #informational = 0;

  /** `method` is that of the request: a HEAD has no body. */
  constructor(method: string, events: ResponseEvents) {
    this.#method = method;
    this.#events = events;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Whether a byte of the response came. */
  get begun(): boolean {
    return this.#state !== "head" || this.#rest.length > 0 || this.#informational > 0;
  }

  /** Whether the connection can take another request after this response. */
  get keepAlive(): boolean {
    return this.#keepAlive;
  }

  push(chunk: Uint8Array): void {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (bytes.length > 0) {
      if (this.#state === "done") {
        // Bytes nobody asked for: the connection is of no use any more.
        this.#keepAlive = false;
        return;
      }
      bytes = this.#step(bytes);
    }
  }

  /** The connection ended. */
  close(): void {
    this.#keepAlive = false;
    if (this.#state === "done") return;
    if (this.#state !== "close") {
      throw new HttpError({
        tag: this.begun ? "HTTP-response-incomplete" : "connection-terminated",
      });
    }
    this.#finish(undefined);
  }

  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case "head":
        return this.#section(bytes, (text) => this.#head(text));
      case "trailers":
        return this.#trailers(bytes);
      case "length":
      case "chunk":
        return this.#data(bytes);
      case "chunk-line":
        return this.#chunkLine(bytes);
      case "chunk-end":
        return this.#chunkEnd(bytes);
      case "close":
        this.#events.body(bytes);
        return EMPTY;
      case "done":
        return EMPTY;
    }
  }

  #data(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    this.#events.body(part);
    if (this.#left === 0) {
      if (this.#state === "length") this.#finish(undefined);
      else this.#state = "chunk-end";
    }
    return bytes.subarray(part.length);
  }

  /** Collects up to an empty line; `take` gets what is before it. */
  #section(bytes: Buffer, take: (text: string) => void): Buffer {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = all.indexOf("\r\n\r\n", Math.max(0, this.#rest.length - 3));
    if ((end < 0 ? all.length : end) > MAX_SECTION_BYTES) {
      const tag =
        this.#state === "trailers"
          ? "HTTP-response-trailer-section-size"
          : "HTTP-response-header-section-size";
      throw new HttpError({ tag, val: MAX_SECTION_BYTES });
    }
    if (end < 0) {
      this.#rest = Buffer.from(all);
      return EMPTY;
    }
    this.#rest = EMPTY;
    take(all.toString("latin1", 0, end));
    return all.subarray(end + 4);
  }

  #head(text: string): void {
    const [statusLine = "", ...lines] = text.split("\r\n");
    const [, minor, digits] = STATUS_LINE.exec(statusLine) ?? [];
    if (digits === undefined) throw protocolError();
    const status = Number(digits);
    const headers = parseFields(lines);
    if (status === 101) throw new HttpError({ tag: "HTTP-upgrade-failed" });
    if (status < 200) {
      this.#informational++;
      if (status < 100 || this.#informational > MAX_INFORMATIONAL) throw protocolError();
      return;
    }
    const connection = valuesOf(headers, "connection");
    this.#keepAlive = minor === "1" ? !connection.includes("close") : false;
    this.#begin(this.#framing(status, headers));
    this.#events.head({ status, headers });
    if (this.#state === "done") this.#events.end(undefined);
  }

  #framing(status: number, headers: HttpHeaders): Framing {
    const codings = valuesOf(headers, "transfer-encoding");
    const lengths = new Set(valuesOf(headers, "content-length"));
    if (this.#method === "HEAD" || status === 204 || status === 304) return { kind: "none" };
    if (codings.length > 0) {
      // Both at once is how responses are smuggled: the connection is not used again.
      if (lengths.size > 0) this.#keepAlive = false;
      if (codings.length > 1 || codings[0] !== "chunked") {
        throw new HttpError({ tag: "HTTP-response-transfer-coding", val: codings.join(", ") });
      }
      return { kind: "chunked" };
    }
    if (lengths.size === 0) return { kind: "until-close" };
    const [length = ""] = lengths;
    if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) throw protocolError();
    return Number(length) === 0 ? { kind: "none" } : { kind: "length", bytes: Number(length) };
  }

  #begin(framing: Framing): void {
    switch (framing.kind) {
      case "none":
        this.#state = "done";
        return;
      case "length":
        this.#state = "length";
        this.#left = framing.bytes;
        return;
      case "chunked":
        this.#state = "chunk-line";
        return;
      case "until-close":
        this.#keepAlive = false;
        this.#state = "close";
    }
  }

  /** A line of a few bytes that may come in parts; undefined while its end is missing. */
  #line(bytes: Buffer): { readonly text: string; readonly rest: Buffer } | undefined {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = all.indexOf("\r\n");
    if ((end < 0 ? all.length : end) > MAX_CHUNK_LINE_BYTES) throw protocolError();
    this.#rest = end < 0 ? Buffer.from(all) : EMPTY;
    return end < 0
      ? undefined
      : { text: all.toString("latin1", 0, end), rest: all.subarray(end + 2) };
  }

  #chunkLine(bytes: Buffer): Buffer {
    const line = this.#line(bytes);
    if (line === undefined) return EMPTY;
    const [, size] = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?$/.exec(line.text) ?? [];
    if (size === undefined) throw protocolError();
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk";
    return line.rest;
  }

  #chunkEnd(bytes: Buffer): Buffer {
    const line = this.#line(bytes);
    if (line === undefined) return EMPTY;
    if (line.text !== "") throw protocolError();
    this.#state = "chunk-line";
    return line.rest;
  }

  #trailers(bytes: Buffer): Buffer {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    if (all.length < 2) {
      this.#rest = Buffer.from(all);
      return EMPTY;
    }
    if (all[0] === 0x0d && all[1] === 0x0a) {
      this.#rest = EMPTY;
      this.#finish(undefined);
      return all.subarray(2);
    }
    this.#rest = EMPTY;
    return this.#section(all, (text) => this.#finish(parseFields(text.split("\r\n"))));
  }

  #finish(trailers: HttpHeaders | undefined): void {
    this.#state = "done";
    this.#events.end(trailers);
  }
}

/** Lines of fields; the values are bytes, whatever they mean. */
function parseFields(lines: readonly string[]): HttpHeaders {
  return lines.map((line) => {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    // A line that begins with a blank would continue the one before: obsolete, and ambiguous.
    if (!isToken(name) || /[\0\r\n]/.test(value)) throw protocolError();
    return [name, Buffer.from(value, "latin1")] as const;
  });
}

/** The members of a list of tokens, in lower case. */
export function valuesOf(headers: HttpHeaders, name: string): string[] {
  return headers
    .filter(([field]) => field.toLowerCase() === name)
    .flatMap(([, value]) => Buffer.from(value).toString("latin1").toLowerCase().split(","))
    .map((value) => value.trim())
    .filter((value) => value !== "");
}

function protocolError(): HttpError {
  return new HttpError({ tag: "HTTP-protocol-error" });
}
