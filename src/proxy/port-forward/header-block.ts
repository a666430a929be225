import { createInflate, type Inflate } from "node:zlib";
import { headerDictionary, HEADER_DICTIONARY_ID } from "./header-dictionary.ts";
import { SpdyError } from "./spdy-frames.ts";

export const MAX_HEADER_BYTES = 16 * 1024;
export const MAX_HEADERS = 64;

/** Reads the header blocks of one direction, which are one zlib stream, in their order. */
export class HeaderInflater {
  readonly #inflate: Inflate;
  #parts: Buffer[] = [];
  #bytes = 0;
  #failure: Error | undefined;
  #waiting: (() => void) | undefined;

  constructor() {
    this.#inflate = createInflate({ dictionary: headerDictionary() });
    this.#inflate.on("data", (part: Buffer) => {
      this.#bytes += part.length;
      // Counted and not kept, so that a bomb costs nothing.
      if (this.#bytes <= MAX_HEADER_BYTES) this.#parts.push(part);
    });
    this.#inflate.on("error", (error) => {
      this.#failure = error;
      this.#waiting?.();
    });
  }

  /** Names in lower case. One call at a time. @throws SpdyError */
  async read(block: Uint8Array): Promise<ReadonlyMap<string, string>> {
    this.#parts = [];
    this.#bytes = 0;
    await new Promise<void>((resolve) => {
      this.#waiting = resolve;
      this.#inflate.write(block, () => resolve());
    });
    if (this.#failure !== undefined) {
      throw new SpdyError(`headers cannot be read: ${this.#failure.message}`);
    }
    if (this.#bytes > MAX_HEADER_BYTES) {
      throw new SpdyError(`headers of ${this.#bytes} bytes: at most ${MAX_HEADER_BYTES} are taken`);
    }
    return parseHeaders(Buffer.concat(this.#parts));
  }

  close(): void {
    this.#inflate.destroy();
  }
}

function parseHeaders(bytes: Buffer): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  let at = 0;
  const word = (): number => {
    if (at + 4 > bytes.length) throw new SpdyError("headers end too early");
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = word();
    if (at + length > bytes.length) throw new SpdyError("headers end too early");
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  const count = word();
  if (count > MAX_HEADERS)
    throw new SpdyError(`${count} headers: at most ${MAX_HEADERS} are taken`);
  for (let index = 0; index < count; index++) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

/** A stored block of the zlib stream: not the last one, four bytes long, a count of 0. */
const NO_HEADERS = [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0];
/** An empty stored block, upon which readers give out what they have (zlib's sync flush). */
const FLUSH = [0, 0, 0, 0xff, 0xff];

/** Writes header blocks without names, in one zlib stream whose blocks end on whole bytes. */
export class EmptyHeaderWriter {
  #begun = false;

  next(): Buffer {
    const block = Buffer.from([...NO_HEADERS, ...FLUSH]);
    if (this.#begun) return block;
    this.#begun = true;
    const head = Buffer.from([0x78, 0x20, 0, 0, 0, 0]);
    head.writeUInt32BE(HEADER_DICTIONARY_ID, 2);
    return Buffer.concat([head, block]);
  }
}
