import { fieldEntries, TOKEN, type FieldEntry, type Framing } from "./message-head.ts";

/** What {@link BodyReader.consume} answers when the body breaks the chunked grammar. */
export const BODY_MALFORMED = -1;

const LF = 10;
const CR = 13;
const HTAB = 9;
const SPACE = 32;
const SEMICOLON = 59;
const MAX_SIZE_DIGITS = 13;
const MAX_EXTENSION_BYTES = 1024;
const MAX_TRAILER_BYTES = 16 * 1024;

type ChunkState =
  | "size-first"
  | "size"
  | "extension"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer-first"
  | "trailer-name"
  | "trailer-value"
  | "trailer-lf"
  | "end-lf";

/** Receives bytes[start, end) of a chunk that are content, without the chunked framing. */
export type ContentSink = (bytes: Buffer, start: number, end: number) => void;

/**
 * Follows one message body through the chunks of a connection, to know where it ends. Bodies are
 * passed on as they came; only what every reader understands alike passes (RFC 9112 section 7.1).
 */
export class BodyReader {
  done: boolean;
  readonly #framing: Framing["type"];
  #remaining: number;
  #state: ChunkState = "size-first";
  #digits = 0;
  #lineBytes = 0;
  #trailerBytes = 0;
  readonly #kept: number[] | undefined;

  /** `keepTrailers`: what follows a chunked body is wanted afterwards. */
  constructor(framing: Framing, options: { readonly keepTrailers?: boolean } = {}) {
    if (options.keepTrailers === true) this.#kept = [];
    this.#framing = framing.type;
    this.#remaining = framing.type === "length" ? framing.bytes : 0;
    this.done = framing.type === "none";
  }

  /** The trailers that were kept, once the body is done; undefined for none. */
  get trailers(): FieldEntry[] | undefined {
    if (this.#kept === undefined || this.#kept.length === 0) return undefined;
    const lines = Buffer.from(this.#kept);
    return fieldEntries(lines, 0, lines.length);
  }

  /** The offset behind the part of `chunk` that belongs to the body, or BODY_MALFORMED. */
  consume(chunk: Buffer, from: number, sink?: ContentSink): number {
    switch (this.#framing) {
      case "none":
        return from;
      case "until-close":
        sink?.(chunk, from, chunk.length);
        return chunk.length;
      case "length": {
        const end = Math.min(chunk.length, from + this.#remaining);
        this.#remaining -= end - from;
        this.done = this.#remaining === 0;
        sink?.(chunk, from, end);
        return end;
      }
      case "chunked":
        return this.#consumeChunked(chunk, from, sink);
    }
  }

  #consumeChunked(chunk: Buffer, from: number, sink: ContentSink | undefined): number {
    let at = from;
    while (at < chunk.length && !this.done) {
      if (this.#state === "data") {
        const end = Math.min(chunk.length, at + this.#remaining);
        sink?.(chunk, at, end);
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = "data-cr";
        continue;
      }
      const byte = chunk[at] ?? 0;
      const next = this.#step(this.#state, byte);
      if (next === undefined) return BODY_MALFORMED;
      if (this.#kept !== undefined && isTrailerByte(this.#state, next)) this.#kept.push(byte);
      this.#state = next;
      at++;
    }
    return at;
  }

  /** The state behind one byte of framing; undefined when the byte is not allowed there. */
  #step(state: Exclude<ChunkState, "data">, byte: number): ChunkState | undefined {
    switch (state) {
      case "size-first":
        this.#remaining = 0;
        this.#digits = 0;
        this.#lineBytes = 0;
        return this.#digit(byte);
      case "size":
        if (byte === CR) return "size-lf";
        return byte === SEMICOLON ? "extension" : this.#digit(byte);
      case "extension":
        if (byte === CR) return "size-lf";
        return isText(byte) && ++this.#lineBytes <= MAX_EXTENSION_BYTES ? "extension" : undefined;
      case "size-lf":
        if (byte !== LF) return undefined;
        return this.#remaining === 0 ? "trailer-first" : "data";
      case "data-cr":
        return byte === CR ? "data-lf" : undefined;
      case "data-lf":
        return byte === LF ? "size-first" : undefined;
      case "trailer-first":
        return byte === CR ? "end-lf" : this.#trailer("trailer-name", TOKEN[byte] === 1);
      case "trailer-name":
        if (byte === 58) return this.#trailer("trailer-value", true);
        return this.#trailer("trailer-name", TOKEN[byte] === 1);
      case "trailer-value":
        return byte === CR ? "trailer-lf" : this.#trailer("trailer-value", isText(byte));
      case "trailer-lf":
        return byte === LF ? "trailer-first" : undefined;
      case "end-lf":
        this.done = byte === LF;
        return this.done ? "size-first" : undefined;
    }
  }

  #digit(byte: number): ChunkState | undefined {
    const value = hexValue(byte);
    if (value === -1 || ++this.#digits > MAX_SIZE_DIGITS) return undefined;
    this.#remaining = this.#remaining * 16 + value;
    return "size";
  }

  #trailer(next: ChunkState, allowed: boolean): ChunkState | undefined {
    return allowed && ++this.#trailerBytes <= MAX_TRAILER_BYTES ? next : undefined;
  }
}

/** The empty line that ends all is none of them. */
function isTrailerByte(state: ChunkState, next: ChunkState): boolean {
  return state.startsWith("trailer-") && next !== "end-lf";
}

function isText(byte: number): boolean {
  return (byte >= SPACE && byte !== 127) || byte === HTAB;
}

function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
