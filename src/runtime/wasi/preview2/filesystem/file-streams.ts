import { readSync, writeSync } from "node:fs";
import { MAX_READ_BYTES, type InputSource } from "../io/input-stream.ts";
import { MAX_WRITE_BYTES, type OutputSink } from "../io/output-stream.ts";
import { alwaysReady } from "../io/pollable.ts";
import { streamOperation } from "./file-error.ts";
import type { FileHandle } from "./shared-directory.ts";

/** Reads a file from an offset on; its end is the stream's. */
export class FileSource implements InputSource {
  readonly #file: FileHandle;
  #position: number;

  /** Takes over one use of the file. */
  constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#position = offset;
  }

  read(limit: number): Uint8Array | undefined {
    const buffer = new Uint8Array(Math.min(limit, MAX_READ_BYTES));
    const count = streamOperation(() =>
      readSync(this.#file.fd, buffer, 0, buffer.length, this.#position),
    );
    this.#position += count;
    return count === 0 ? undefined : buffer.subarray(0, count);
  }

  ready(): boolean {
    return true;
  }

  watch(callback: () => void): () => void {
    return alwaysReady.watch(callback);
  }

  close(): void {
    this.#file.release();
  }
}

/** Writes a file from an offset on, or at its end. */
export class FileSink implements OutputSink {
  readonly #file: FileHandle;
  /** Null: the file was opened to append. */
  #position: number | null;

  /** Takes over one use of the file. */
  constructor(file: FileHandle, offset: number | null) {
    this.#file = file;
    this.#position = offset;
  }

  room(): number {
    return MAX_WRITE_BYTES;
  }

  write(bytes: Uint8Array): void {
    streamOperation(() => {
      let written = 0;
      while (written < bytes.length) {
        const at = this.#position;
        const count = writeSync(this.#file.fd, bytes, written, bytes.length - written, at);
        written += count;
        if (at !== null) this.#position = at + count;
      }
    });
  }

  flush(): void {}

  flushing(): boolean {
    return false;
  }

  ready(): boolean {
    return true;
  }

  watch(callback: () => void): () => void {
    return alwaysReady.watch(callback);
  }

  close(): void {
    this.#file.release();
  }
}
