import type { Inflate } from "node:zlib";
import { headerDictionary, HEADER_DICTIONARY_ID } from "./header-dictionary.ts";
import { SpdyError } from "./spdy-frames.ts";

export const MAX_HEADER_BYTES = 16 * 1024;
export const MAX_HEADERS = 64;

/** Reads the header blocks of one direction, which are one zlib stream, in their order. */
export class HeaderInflater {
  #inflate: Inflate | undefined;
  #parts: Buffer[] = [];
  #bytes = 0;
  #failure: Error | undefined;
  #waiting: (() => void) | undefined;
  #closed = false;

  /** Names in lower case. One call at a time. @throws SpdyError */
  async read(block: Uint8Array): Promise<ReadonlyMap<string, string>> {
    this.#inflate ??= await this.#open();
    const inflate = this.#inflate;
    this.#parts = [];
    this.#bytes = 0;
    await new Promise<void>((resolve) => {
      this.#waiting = resolve;
      inflate.write(block, () => resolve());
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
    this.#closed = true;
    this.#inflate?.destroy();
    this.#waiting?.();
  }

  /** zlib is loaded with the first stream: most processes never see one. */
  async #open(): Promise<Inflate> {
    const { createInflate } = await import("node:zlib");
    const inflate = createInflate({ dictionary: headerDictionary() });
    inflate.on("data", (part: Buffer) => {
      this.#bytes += part.length;
      // Counted and not kept, so that a bomb costs nothing.
      if (this.#bytes <= MAX_HEADER_BYTES) this.#parts.push(part);
    });
    inflate.on("error", (error) => {
      this.#failure = error;
      this.#waiting?.();
    });
    if (this.#closed) inflate.destroy();
    return inflate;
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

/** An empty stored block, upon which readers give out what they have (zlib's sync flush). */
const FLUSH = [0, 0, 0, 0xff, 0xff];

/** Writes header blocks in one zlib stream: stored, not compressed, and ending on whole bytes. */
export class HeaderWriter {
  #begun = false;

  /** Names in lower case, as the protocol has them. */
  next(headers: Readonly<Record<string, string>> = {}): Buffer {
    const pairs = Object.entries(headers);
    const content = Buffer.concat([word(pairs.length), ...pairs.flat().flatMap(lengthAndText)]);
    // A stored block that is not the last one: its length, and the same bit by bit negated.
    const head = Buffer.from([0, 0, 0, 0, 0]);
    head.writeUInt16LE(content.length, 1);
    head.writeUInt16LE(0xffff - content.length, 3);
    const block = Buffer.concat([head, content, Buffer.from(FLUSH)]);
    if (this.#begun) return block;
    this.#begun = true;
    const begin = Buffer.from([0x78, 0x20, 0, 0, 0, 0]);
    begin.writeUInt32BE(HEADER_DICTIONARY_ID, 2);
    return Buffer.concat([begin, block]);
  }
}

function lengthAndText(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  return [word(bytes.length), bytes];
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
