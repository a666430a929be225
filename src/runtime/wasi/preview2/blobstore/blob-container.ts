import { clampLength } from "../io/input-stream.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import type { BlobDirectory, ObjectNames } from "./blob-directory.ts";
import { BlobError } from "./blob-error.ts";
import { IncomingValue, type OutgoingValue } from "./blob-values.ts";

/** Names of one read of a listing. */
export const MAX_NAMES = 1000;
/** Objects of one skip of a listing. */
export const MAX_SKIPPED = 100_000;

/** The resource `container` of wasi:blobstore/container. */
export class Container extends Resource {
  readonly #directory: BlobDirectory;

  /** Takes over one use of the directory. */
  constructor(scope: InstanceScope, directory: BlobDirectory) {
    super(scope);
    this.#directory = directory;
  }

  name(): string {
    return this.#directory.container;
  }

  info() {
    const { birthtimeMs, mtimeMs } = this.#directory.stat();
    return { name: this.name(), createdAt: seconds(birthtimeMs > 0 ? birthtimeMs : mtimeMs) };
  }

  /** Both ends count; what is behind the object's end is left out. */
  getData(object: string, start: bigint, end: bigint): IncomingValue {
    if (start > end) throw new BlobError(`object ${object}: the range ${start}…${end} is reversed`);
    const { handle, size } = this.#directory.open(object);
    const offset = clampLength(start, size);
    const length = clampLength(end - start + 1n, size - offset);
    try {
      return new IncomingValue(this.scope, handle, { offset, length });
    } catch (error) {
      handle.release();
      throw error;
    }
  }

  /** The object is there when the value is finished, before or after this. */
  writeData(object: string, value: OutgoingValue): void {
    value.aim(this.#directory, object);
  }

  listObjects(): StreamObjectNames {
    const entries = this.#directory.entries();
    try {
      return new StreamObjectNames(this.scope, entries);
    } catch (error) {
      entries.close();
      throw error;
    }
  }

  deleteObject(object: string): void {
    this.#directory.remove(object);
  }

  deleteObjects(objects: readonly string[]): void {
    for (const object of objects) this.#directory.remove(object);
  }

  hasObject(object: string): boolean {
    return this.#directory.has(object);
  }

  objectInfo(object: string) {
    const { size, mtimeMs } = this.#directory.statObject(object);
    // An object never changes: what is written is another one.
    const createdAt = seconds(mtimeMs);
    return { name: object, container: this.name(), createdAt, size: BigInt(size) };
  }

  clear(): void {
    this.#directory.clear();
  }

  protected override released(): void {
    this.#directory.release();
  }
}

/** The resource `stream-object-names`. */
export class StreamObjectNames extends Resource {
  readonly #entries: ObjectNames;

  /** Closes the names when it is dropped. */
  constructor(scope: InstanceScope, entries: ObjectNames) {
    super(scope);
    this.#entries = entries;
  }

  readStreamObjectNames(length: bigint): [names: string[], ended: boolean] {
    const limit = clampLength(length, MAX_NAMES);
    const names: string[] = [];
    while (names.length < limit) {
      const name = this.#entries.next();
      if (name === undefined) return [names, true];
      names.push(name);
    }
    return [names, false];
  }

  skipStreamObjectNames(count: bigint): [skipped: bigint, ended: boolean] {
    const limit = clampLength(count, MAX_SKIPPED);
    for (let skipped = 0; skipped < limit; skipped++) {
      if (this.#entries.next() === undefined) return [BigInt(skipped), true];
    }
    return [BigInt(limit), false];
  }

  protected override released(): void {
    this.#entries.close();
  }
}

/** `timestamp`: since the Unix epoch. */
function seconds(milliseconds: number): bigint {
  return BigInt(Math.max(0, Math.floor(milliseconds / 1000)));
}
