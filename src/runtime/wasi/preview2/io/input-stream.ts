import { GuestError, GuestTrap } from "./guest-error.ts";
import { IoError, IoFailure } from "./io-failure.ts";
import type { InstanceScope } from "./instance-scope.ts";
import { Pollable, untilReady, type PollSource } from "./pollable.ts";
import { Resource } from "./resource.ts";

/** Bytes of one read, however many the guest asks for. */
export const MAX_READ_BYTES = 64 * 1024;

/** `stream-error` of wasi:io/streams. */
export type StreamError =
  | { readonly tag: "last-operation-failed"; readonly val: IoError }
  | { readonly tag: "closed" };

/** Where the bytes of an input stream come from. */
export interface InputSource extends PollSource {
  /**
   * At most `limit` bytes: empty when none are there yet, undefined at the end. The bytes are the
   * caller's until the next call. Throws {@link IoFailure}.
   */
  read(limit: number): Uint8Array | undefined;
  /** Nobody reads any more. */
  close(): void;
}

/** The resource `input-stream` of wasi:io/streams. */
export class InputStream extends Resource {
  readonly #source: InputSource;
  #closed = false;

  constructor(scope: InstanceScope, source: InputSource, parent?: Resource) {
    super(scope, parent);
    this.#source = source;
  }

  read(length: bigint): Uint8Array {
    if (this.#closed) throw closedError();
    const limit = clampLength(length, MAX_READ_BYTES);
    if (limit === 0) return new Uint8Array();
    const bytes = attempt(
      this.scope,
      () => this.#source.read(limit),
      () => this.#close(),
    );
    if (bytes !== undefined) return bytes;
    this.#close();
    throw closedError();
  }

  blockingRead(length: bigint): Uint8Array | Promise<Uint8Array> {
    if (length === 0n) return this.read(length);
    const bytes = this.read(length);
    if (bytes.length > 0 && !this.scope.mustTurn()) return bytes;
    return bytes.length > 0 ? this.scope.turn().then(() => bytes.slice()) : this.#readLater(length);
  }

  skip(length: bigint): bigint {
    return BigInt(this.read(length).length);
  }

  blockingSkip(length: bigint): bigint | Promise<bigint> {
    const bytes = this.blockingRead(length);
    if (bytes instanceof Promise) return bytes.then((read) => BigInt(read.length));
    return BigInt(bytes.length);
  }

  subscribe(): Pollable {
    return new Pollable(this.scope, this.pollSource, this);
  }

  /** Ready when a read would not come back empty-handed. */
  get pollSource(): PollSource {
    return {
      ready: () => this.#closed || this.#source.ready(),
      watch: (callback) => this.#source.watch(callback),
    };
  }

  protected override released(): void {
    this.#close();
  }

  async #readLater(length: bigint): Promise<Uint8Array> {
    for (;;) {
      await untilReady(this.scope, this.pollSource);
      const bytes = this.read(length);
      if (bytes.length > 0) return bytes;
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.close();
  }
}

export function closedError(): GuestError<StreamError> {
  return new GuestError({ tag: "closed" });
}

/** Runs a step of a stream; a failure closes it and becomes the guest's error. */
export function attempt<Result>(
  scope: InstanceScope,
  step: () => Result,
  close: () => void,
): Result {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof IoFailure)) throw error;
    close();
    throw new GuestError<StreamError>({
      tag: "last-operation-failed",
      val: new IoError(scope, error),
    });
  }
}

/** A u64 of the guest as a number, no more than `limit`. */
export function clampLength(length: bigint, limit: number): number {
  if (length < 0n) throw new GuestTrap(`a length of ${length}`);
  return length > BigInt(limit) ? limit : Number(length);
}

/** At its end from the start, like /dev/null. */
export const emptySource: InputSource = {
  read: () => undefined,
  ready: () => true,
  watch: (callback) => {
    callback();
    return () => undefined;
  },
  close: () => undefined,
};
