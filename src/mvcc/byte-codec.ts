import { Buffer } from "node:buffer";

/** The bytes are not what the reader was told to expect: damaged, or of a newer version. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

const VARINT_MAX_BYTES = 8;

/** Appends to a buffer whose size the caller has bounded before. */
export class ByteWriter {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(maxBytes: number) {
    this.#buffer = Buffer.allocUnsafe(maxBytes);
  }

  byte(value: number): void {
    this.#buffer[this.#at++] = value;
  }

  /** A non-negative safe integer, 7 bits a byte, low bits first. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at++] = rest;
  }

  /** UTF-8 behind its length. */
  text(value: string): void {
    this.varint(Buffer.byteLength(value, "utf8"));
    this.#at += this.#buffer.write(value, this.#at, "utf8");
  }

  /** Bytes behind their length. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }
}

/** Reads what a {@link ByteWriter} wrote. @throws DecodeError */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    const value = this.#buffer[this.#at++];
    if (value === undefined) throw new DecodeError(`ends at byte ${this.#at - 1}`);
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_MAX_BYTES; count++, scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new DecodeError(`holds a number of more than ${VARINT_MAX_BYTES} bytes`);
  }

  text(): string {
    const [start, end] = this.#span();
    return this.#buffer.toString("utf8", start, end);
  }

  /** A copy, so that one value does not keep the whole entry in memory. */
  bytes(): Uint8Array {
    const [start, end] = this.#span();
    return new Uint8Array(this.#buffer.subarray(start, end));
  }

  /** @throws DecodeError when something is left. */
  end(): void {
    const left = this.#buffer.length - this.#at;
    if (left !== 0) throw new DecodeError(`has ${left} bytes behind its end`);
  }

  #span(): [start: number, end: number] {
    const length = this.varint();
    const start = this.#at;
    if (start + length > this.#buffer.length) {
      throw new DecodeError(`names ${length} bytes at ${start} of ${this.#buffer.length}`);
    }
    this.#at = start + length;
    return [start, this.#at];
  }
}
