import { readSync } from "node:fs";
import type { FileHandle } from "../filesystem/shared-directory.ts";
import { FileSink } from "../filesystem/file-streams.ts";
import { streamOperation } from "../filesystem/file-error.ts";
import { plainFailure } from "../io/guest-error.ts";
import { InputStream, MAX_READ_BYTES, type InputSource } from "../io/input-stream.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { OutputStream } from "../io/output-stream.ts";
import { alwaysReady } from "../io/pollable.ts";
import { Resource } from "../io/resource.ts";
import type { BlobDirectory, TemporaryFile } from "./blob-directory.ts";
import { BlobError, blobOperation } from "./blob-error.ts";

/** Bytes of a value that is consumed at once; larger ones are read as a stream. */
export const MAX_SYNC_BYTES = 16 * 1024 * 1024;

/** Where a value goes when it is finished. */
interface Target {
  readonly directory: BlobDirectory;
  readonly object: string;
}

/**
 * The resource `outgoing-value`: its bytes go to a file without a name of an object, which becomes
 * the object when the value is finished.
 */
export class OutgoingValue extends Resource {
  readonly #anyDirectory: () => BlobDirectory;
  #file: TemporaryFile | undefined;
  #target: Target | undefined;

  /** `anyDirectory` is where bytes go before it is known which container they are for. */
  constructor(scope: InstanceScope, anyDirectory: () => BlobDirectory) {
    super(scope);
    this.#anyDirectory = anyDirectory;
  }

  outgoingValueWriteBody(): OutputStream {
    if (this.#file !== undefined) throw plainFailure();
    const { handle } = this.#spool();
    return new OutputStream(this.scope, new FileSink(handle.retain(), 0), this);
  }

  /** `write-data` of a container: takes a use of the directory. */
  aim(directory: BlobDirectory, object: string): void {
    if (this.#target !== undefined) {
      throw new BlobError(`the value is written to object ${this.#target.object} already`);
    }
    this.#target = { directory: directory.retain(), object };
  }

  static finish(value: OutgoingValue): void {
    value.surrender();
    try {
      value.#commit();
    } finally {
      value.released();
    }
  }

  /** Nothing of what was not finished stays. */
  protected override released(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#target?.directory.release();
    this.#target = undefined;
    if (file === undefined) return;
    file.directory.discard(file);
    file.handle.release();
    file.directory.release();
  }

  #commit(): void {
    const target = this.#target;
    if (target === undefined) throw new BlobError("the value was written to no container");
    target.directory.commit(this.#file ?? this.#spool(), target.object);
  }

  #spool(): TemporaryFile {
    if (this.#target !== undefined) return (this.#file = this.#target.directory.temporary());
    let directory: BlobDirectory;
    try {
      directory = this.#anyDirectory();
    } catch (error) {
      // The function has no words for its failure; the log has them.
      if (error instanceof BlobError) throw plainFailure();
      throw error;
    }
    try {
      return (this.#file = directory.temporary());
    } finally {
      directory.release();
    }
  }
}

/** The resource `incoming-value`: an object, or a part of it, as it was when it was asked for. */
export class IncomingValue extends Resource {
  readonly #handle: FileHandle;
  readonly #offset: number;
  readonly #length: number;

  /** Takes over one use of the handle. */
  constructor(
    scope: InstanceScope,
    handle: FileHandle,
    range: { readonly offset: number; readonly length: number },
  ) {
    super(scope);
    this.#handle = handle;
    this.#offset = range.offset;
    this.#length = range.length;
  }

  size(): bigint {
    return BigInt(this.#length);
  }

  static incomingValueConsumeSync(value: IncomingValue): Uint8Array {
    value.surrender();
    try {
      const length = value.#length;
      if (length > MAX_SYNC_BYTES) {
        throw new BlobError(`a value of ${length} bytes, at once at most ${MAX_SYNC_BYTES}`);
      }
      const bytes = new Uint8Array(length);
      const { fd } = value.#handle;
      const count = blobOperation("value", () => readSync(fd, bytes, 0, length, value.#offset));
      return bytes.subarray(0, count);
    } finally {
      value.released();
    }
  }

  static incomingValueConsumeAsync(value: IncomingValue): InputStream {
    value.surrender();
    const source = new RangeSource(value.#handle, value.#offset, value.#length);
    return new InputStream(value.scope, source);
  }

  protected override released(): void {
    this.#handle.release();
  }
}

/** A part of a file. */
class RangeSource implements InputSource {
  readonly #file: FileHandle;
  #position: number;
  #left: number;

  /** Takes over one use of the file. */
  constructor(file: FileHandle, offset: number, length: number) {
    this.#file = file;
    this.#position = offset;
    this.#left = length;
  }

  read(limit: number): Uint8Array | undefined {
    const buffer = new Uint8Array(Math.min(limit, MAX_READ_BYTES, this.#left));
    const { fd } = this.#file;
    const count = streamOperation(() => readSync(fd, buffer, 0, buffer.length, this.#position));
    this.#position += count;
    this.#left -= count;
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
