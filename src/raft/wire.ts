import type { LogIndex, MemberId, Term } from "./types.ts";

/** Bytes that are no message or configuration change of this version. */
export class RaftWireError extends Error {
  override readonly name = "RaftWireError";
}

const MAX_NUMBER_BYTES = 8;

/** Writes little-endian base-128 numbers, up to 2^53 - 1, and byte strings. */
export class WireWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(sizeHint: number) {
    this.#bytes = new Uint8Array(Math.max(16, sizeHint));
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RaftWireError(`a number on the wire is a safe integer from 0 on, not ${value}`);
    }
    this.#reserve(MAX_NUMBER_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  numbers(values: readonly number[]): void {
    this.number(values.length);
    for (const value of values) this.number(value);
  }

  block(block: Uint8Array): void {
    this.number(block.length);
    this.#reserve(block.length);
    this.#bytes.set(block, this.#length);
    this.#length += block.length;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Reads what {@link WireWriter} wrote. Everything but that is a {@link RaftWireError}. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new RaftWireError(`cut off after ${this.#bytes.length} bytes`);
    return value;
  }

  /** One byte below `bound`. */
  choice(bound: number, what: string): number {
    const value = this.byte();
    if (value >= bound) throw new RaftWireError(`${what} is below ${bound}, not ${value}`);
    return value;
  }

  flag(what: string): boolean {
    return this.choice(2, what) === 1;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < MAX_NUMBER_BYTES; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new RaftWireError("a number beyond 2^53");
        if (byte === 0 && count > 0) throw new RaftWireError("a number with idle bytes");
        return value;
      }
      scale *= 0x80;
    }
    throw new RaftWireError(`a number of more than ${MAX_NUMBER_BYTES} bytes`);
  }

  index(): LogIndex {
    return this.number() as LogIndex;
  }

  term(): Term {
    return this.number() as Term;
  }

  member(): MemberId {
    const value = this.number();
    if (value === 0) throw new RaftWireError("a member's id is at least 1");
    return value as MemberId;
  }

  members(limit: number): MemberId[] {
    const count = this.count(limit, "members");
    return Array.from({ length: count }, () => this.member());
  }

  count(limit: number, what: string): number {
    const value = this.number();
    if (value > limit) throw new RaftWireError(`at most ${limit} ${what}, not ${value}`);
    return value;
  }

  /** A view into the bytes that are read, not a copy. */
  block(limit: number): Uint8Array {
    const length = this.count(Math.min(limit, this.#bytes.length - this.#at), "bytes");
    const block = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return block;
  }

  end(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest !== 0) throw new RaftWireError(`${rest} bytes too many`);
  }
}
