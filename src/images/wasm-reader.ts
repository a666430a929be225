import { ImageError } from "./image-error.ts";

/** A name of an import or export; real ones have some tens of bytes. */
export const MAX_NAME_BYTES = 4_096;
/** Imports, or exports, of one binary; the largest that are known have some hundreds. */
export const MAX_WASM_NAMES = 10_000;
const MAX_SECTIONS = 100_000;

/** One section of a module or component: its number and what it holds. */
export interface WasmSection {
  readonly id: number;
  readonly content: WasmReader;
}

/**
 * Reads a WebAssembly binary front to back. Nothing is read past the end and nothing is copied but
 * names; whatever does not fit throws ImageError `unsupported` with the place.
 */
export class WasmReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    const value = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (value === undefined) throw this.malformed("it ends too early");
    this.#at++;
    return value;
  }

  /** An unsigned LEB128 number of at most 32 bits (core specification, section "Values"). */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw this.malformed("a number has more than 32 bits");
  }

  /** Passes a signed or unsigned LEB128 number of at most 64 bits. */
  skipNumber(): void {
    for (let count = 0; count < 10; count++) {
      if ((this.byte() & 0x80) === 0) return;
    }
    throw this.malformed("a number has more than 64 bits");
  }

  /** The length of a list that is read item by item. */
  count(): number {
    const count = this.u32();
    if (count > MAX_WASM_NAMES) throw this.malformed(`a list has ${count} items`);
    return count;
  }

  name(): string {
    const length = this.u32();
    if (length > MAX_NAME_BYTES) throw this.malformed(`a name has ${length} bytes`);
    const end = this.#at + length;
    if (end > this.#end) throw this.malformed("it ends inside a name");
    const text = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(text);
    } catch {
      throw this.malformed("a name is not UTF-8");
    }
  }

  /** The sections after the eight bytes of the preamble; each has its own end. */
  *sections(): Generator<WasmSection> {
    this.#at += 8;
    for (let count = 0; !this.atEnd; count++) {
      if (count >= MAX_SECTIONS) throw this.malformed(`it has more than ${MAX_SECTIONS} sections`);
      const id = this.byte();
      const size = this.u32();
      const end = this.#at + size;
      if (end > this.#end) throw this.malformed(`section ${id} goes on after the end`);
      yield { id, content: new WasmReader(this.#bytes, this.#at, end) };
      this.#at = end;
    }
  }

  malformed(why: string): ImageError {
    return new ImageError("unsupported", `damaged WebAssembly at byte ${this.#at}: ${why}`);
  }
}
