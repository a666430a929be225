import { ERRNO, WasiError } from "./errno.ts";
import { SIZE } from "./abi.ts";

/** Buffers a guest may name in one call (Linux's IOV_MAX). */
export const MAX_IOVECS = 1024;
const encoder = new TextEncoder();

/**
 * The guest's linear memory. Every access is checked: what lies outside answers EFAULT. Views are
 * made anew when the memory grew, because growing detaches the old buffer.
 */
export class GuestMemory {
  #memory: WebAssembly.Memory | undefined;
  #view = new DataView(new ArrayBuffer(0));
  #bytes = new Uint8Array(0);

  /** Must be called with the instance's exported memory before the guest runs. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
    this.#refresh(memory.buffer);
  }

  /** Bytes of linear memory now; 0 before {@link attach}. */
  get size(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  get view(): DataView {
    const buffer = this.#memory?.buffer;
    if (buffer !== undefined && buffer !== this.#view.buffer) this.#refresh(buffer);
    return this.#view;
  }

  /** A window on guest memory, valid until the guest runs again. Throws EFAULT. */
  slice(pointer: number, length: number): Uint8Array {
    const buffer = this.#memory?.buffer;
    if (buffer !== undefined && buffer !== this.#view.buffer) this.#refresh(buffer);
    const start = pointer >>> 0;
    const end = start + (length >>> 0);
    if (end > this.#bytes.length) throw new WasiError(ERRNO.fault);
    return this.#bytes.subarray(start, end);
  }

  setUint8(pointer: number, value: number): void {
    this.slice(pointer, 1)[0] = value;
  }

  setUint16(pointer: number, value: number): void {
    this.#check(pointer, 2).setUint16(pointer >>> 0, value, true);
  }

  setUint32(pointer: number, value: number): void {
    this.#check(pointer, 4).setUint32(pointer >>> 0, value, true);
  }

  setUint64(pointer: number, value: bigint): void {
    this.#check(pointer, 8).setBigUint64(pointer >>> 0, value, true);
  }

  /** Non-negative integers up to 2^53, without the cost of a BigInt. */
  setSize64(pointer: number, value: number): void {
    const view = this.#check(pointer, 8);
    view.setUint32(pointer >>> 0, value >>> 0, true);
    view.setUint32((pointer >>> 0) + 4, Math.floor(value / 0x1_0000_0000), true);
  }

  getUint32(pointer: number): number {
    return this.#check(pointer, 4).getUint32(pointer >>> 0, true);
  }

  /** The buffers of an iovec array, empty ones left out. Throws EINVAL above MAX_IOVECS. */
  iovecs(pointer: number, count: number): Uint8Array[] {
    if (count >>> 0 > MAX_IOVECS) throw new WasiError(ERRNO.inval);
    const view = this.#check(pointer, count * SIZE.iovec);
    const buffers: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const at = (pointer >>> 0) + index * SIZE.iovec;
      const length = view.getUint32(at + 4, true);
      if (length > 0) buffers.push(this.slice(view.getUint32(at, true), length));
    }
    return buffers;
  }

  /** Copies as much as fits; returns how many bytes that was. */
  copyInto(pointer: number, capacity: number, source: Uint8Array): number {
    const target = this.slice(pointer, Math.min(capacity >>> 0, source.length));
    target.set(source.subarray(0, target.length));
    return target.length;
  }

  /**
   * A string table as args_get and environ_get want it: pointers at `vector`, zero-ended bytes
   * from `buffer` on.
   */
  writeStrings(strings: readonly Uint8Array[], vector: number, buffer: number): void {
    let next = buffer >>> 0;
    for (const [index, bytes] of strings.entries()) {
      this.setUint32((vector >>> 0) + index * 4, next);
      const target = this.slice(next, bytes.length + 1);
      target.set(bytes);
      target[bytes.length] = 0;
      next += bytes.length + 1;
    }
  }

  #check(pointer: number, length: number): DataView {
    const view = this.view;
    if ((pointer >>> 0) + length > view.byteLength) throw new WasiError(ERRNO.fault);
    return view;
  }

  #refresh(buffer: ArrayBuffer): void {
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
  }
}

/** Bytes of a string for the guest; a zero inside would end it early, so it is cut there. */
export function guestString(text: string): Uint8Array {
  const zero = text.indexOf("\0");
  return encoder.encode(zero < 0 ? text : text.slice(0, zero));
}
