const END_OF_HEAD = Buffer.from("\r\n\r\n", "latin1");
const CR = 13;
const LF = 10;
/** Empty lines before a request line that are forgiven (RFC 9112 section 2.2). */
const MAX_LEADING_EMPTY_LINES = 4;

/** What {@link HeadReader.push} answers instead of an offset. */
export const NEED_MORE = -1;
export const HEAD_TOO_LARGE = -2;
export const HEAD_MALFORMED = -3;

/**
 * Finds where the head of an HTTP/1.1 message ends in a stream of chunks. The answer does not
 * depend on how the stream was split. A head within one chunk, the usual case, is not copied.
 *
 * After an offset was answered, the head is `bytes[start, end)`, its last empty line included; it
 * stays valid until the next push.
 */
export class HeadReader {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  readonly #limit: number;
  #held: Buffer | undefined;
  #heldLength = 0;
  #skippedLines = 0;
  #skippedCr = false;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** True when part of a head has arrived. */
  get started(): boolean {
    return this.#heldLength > 0;
  }

  /** The offset in `chunk` behind the head, or one of the negative constants above. */
  push(chunk: Buffer, from: number): number {
    if (this.#heldLength > 0) return this.#continue(chunk, from);
    const begin = this.#skipEmptyLines(chunk, from);
    if (begin < 0) return HEAD_MALFORMED;
    if (begin === chunk.length) return NEED_MORE;
    const found = chunk.indexOf(END_OF_HEAD, begin);
    if (found === -1) return this.#hold(chunk, begin);
    const end = found + END_OF_HEAD.length;
    if (end - begin > this.#limit) return this.#tooLarge(chunk, begin);
    this.bytes = chunk;
    this.start = begin;
    this.end = end;
    this.#skippedLines = 0;
    return end;
  }

  #skipEmptyLines(chunk: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const byte = chunk[at];
      if (this.#skippedCr) {
        if (byte === undefined) return at;
        if (byte !== LF) return -1;
        this.#skippedCr = false;
        this.#skippedLines++;
        if (this.#skippedLines > MAX_LEADING_EMPTY_LINES) return -1;
      } else if (byte === CR) {
        this.#skippedCr = true;
      } else {
        return at;
      }
      at++;
    }
  }

  #hold(chunk: Buffer, from: number): number {
    const length = chunk.length - from;
    if (length >= this.#limit) return this.#tooLarge(chunk, from);
    if (this.#held === undefined || this.#held.length < length) {
      this.#held = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(1024, length * 2)));
    }
    chunk.copy(this.#held, 0, from);
    this.#heldLength = length;
    return hasBareLineFeed(this.#held, 0, length) ? HEAD_MALFORMED : NEED_MORE;
  }

  #continue(chunk: Buffer, from: number): number {
    const before = this.#heldLength;
    const room = Math.min(this.#limit - before, chunk.length - from);
    this.#reserve(before + room);
    const held = this.#held ?? Buffer.alloc(0);
    chunk.copy(held, before, from, from + room);
    const scanFrom = Math.max(0, before - END_OF_HEAD.length + 1);
    const found = held.subarray(0, before + room).indexOf(END_OF_HEAD, scanFrom);
    if (found === -1) {
      this.#heldLength = before + room;
      if (hasBareLineFeed(held, before, this.#heldLength)) return HEAD_MALFORMED;
      return this.#heldLength >= this.#limit ? HEAD_TOO_LARGE : NEED_MORE;
    }
    this.bytes = held;
    this.start = 0;
    this.end = found + END_OF_HEAD.length;
    // The buffer is handed out with the head, so that the next head gets one of its own.
    this.#held = undefined;
    this.#heldLength = 0;
    this.#skippedLines = 0;
    return from + this.end - before;
  }

  /** What the allowed part holds decides, as if it had come alone. */
  #tooLarge(chunk: Buffer, from: number): number {
    const bare = hasBareLineFeed(chunk, from, from + this.#limit);
    return bare ? HEAD_MALFORMED : HEAD_TOO_LARGE;
  }

  #reserve(length: number): void {
    if (this.#held !== undefined && this.#held.length >= length) return;
    const grown = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(1024, length * 2)));
    this.#held?.copy(grown, 0, 0, this.#heldLength);
    this.#held = grown;
  }
}

/** An unfinished head with a bare line feed will never be valid: told at once, not at a timeout. */
function hasBareLineFeed(bytes: Buffer, from: number, to: number): boolean {
  for (let at = bytes.indexOf(LF, from); at !== -1 && at < to; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return true;
  }
  return false;
}
