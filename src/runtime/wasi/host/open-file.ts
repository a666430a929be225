import { fstatSync, closeSync, openSync, readSync, writeSync } from "node:fs";
import { constants } from "node:fs";
import { FD_FLAGS, WHENCE } from "./abi.ts";
import { ERRNO, WasiError } from "./errno.ts";

/** A regular file. The position is ours: no two descriptors of a guest share one. */
export class OpenFile {
  readonly kind = "file";
  #fd: number;
  #position = 0;
  readonly #access: number;
  /** Nothing about the file may be changed, its times neither: its volume is read-only. */
  readonly readOnly: boolean;

  /** `access` is O_RDONLY, O_WRONLY or O_RDWR, as the file was opened. */
  constructor(fd: number, access: number, options: { readonly readOnly: boolean }) {
    this.#fd = fd;
    this.#access = access;
    this.readOnly = options.readOnly;
  }

  get fd(): number {
    return this.#fd;
  }

  get position(): number {
    return this.#position;
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Reads at the position, or at `at` without moving it. 0 means the end. */
  read(buffers: readonly Uint8Array[], at?: number): number {
    if (this.#access === constants.O_WRONLY) throw new WasiError(ERRNO.badf);
    let total = 0;
    for (const buffer of buffers) {
      const from = (at ?? this.#position) + total;
      const count = readSync(this.#fd, buffer, 0, buffer.length, from);
      total += count;
      if (count < buffer.length) break;
    }
    if (at === undefined) this.#position += total;
    return total;
  }

  /** Writes at the position (or the end, when appending), or at `at` without moving it. */
  write(buffers: readonly Uint8Array[], flags: number, at?: number): number {
    if (this.#access === constants.O_RDONLY) throw new WasiError(ERRNO.badf);
    const append = (flags & FD_FLAGS.append) !== 0;
    if (append && at !== undefined) return this.#writeAt(buffers, at);
    let total = 0;
    for (const buffer of buffers) {
      const from = append ? null : (at ?? this.#position) + total;
      const count = writeSync(this.#fd, buffer, 0, buffer.length, from);
      total += count;
      if (count < buffer.length) break;
    }
    if (append) this.#position = this.size;
    else if (at === undefined) this.#position += total;
    return total;
  }

  /** Linux' pwrite goes to the end of what was opened to append; WASI's does not, as in POSIX. */
  #writeAt(buffers: readonly Uint8Array[], at: number): number {
    const fd = openSync(`/proc/self/fd/${this.#fd}`, this.#access);
    let total = 0;
    try {
      for (const buffer of buffers) {
        const count = writeSync(fd, buffer, 0, buffer.length, at + total);
        total += count;
        if (count < buffer.length) break;
      }
    } finally {
      closeSync(fd);
    }
    return total;
  }

  /** Throws EINVAL for a position before the start. */
  seek(offset: number, whence: number): number {
    const base = whence === WHENCE.set ? 0 : whence === WHENCE.cur ? this.#position : this.size;
    const next = base + offset;
    if (whence > WHENCE.end || next < 0 || !Number.isSafeInteger(next)) {
      throw new WasiError(ERRNO.inval);
    }
    this.#position = next;
    return next;
  }

  /** Opens the same file again with other status flags: node:fs has no fcntl. */
  setFlags(hostFlags: number): void {
    const next = openSync(`/proc/self/fd/${this.#fd}`, this.#access | hostFlags);
    closeSync(this.#fd);
    this.#fd = next;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
