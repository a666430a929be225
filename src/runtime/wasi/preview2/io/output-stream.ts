import { GuestTrap } from "./guest-error.ts";
import { attempt, clampLength, closedError, InputStream } from "./input-stream.ts";
import type { InstanceScope } from "./instance-scope.ts";
import { Pollable, untilReady, type PollSource } from "./pollable.ts";
import { Resource } from "./resource.ts";

/** Bytes one check-write permits, and a stream holds, at most. */
export const MAX_WRITE_BYTES = 64 * 1024;

/** Where the bytes of an output stream go. */
export interface OutputSink extends PollSource {
  /** Bytes it takes now, 0 for none; undefined when it takes none any more. Throws IoFailure. */
  room(): number | undefined;
  /** Takes bytes, no more than there is room for; they are the sink's. Throws IoFailure. */
  write(bytes: Uint8Array): void;
  /** Starts to push out what is held. Throws IoFailure. */
  flush(): void;
  /** Whether a flush still goes on. */
  flushing(): boolean;
  /** Nobody writes any more. */
  close(): void;
}

/** The resource `output-stream` of wasi:io/streams. */
export class OutputStream extends Resource {
  readonly #sink: OutputSink;
  #closed = false;

  constructor(scope: InstanceScope, sink: OutputSink, parent?: Resource) {
    super(scope, parent);
    this.#sink = sink;
  }

  checkWrite(): bigint {
    return BigInt(this.#room());
  }

  write(contents: Uint8Array): void {
    const room = this.#room();
    if (contents.length > room) {
      throw new GuestTrap(`a write of ${contents.length} bytes, check-write permits ${room}`);
    }
    if (contents.length > 0) this.#try(() => this.#sink.write(contents));
  }

  /** Takes more than the 4,096 bytes that callers are promised. */
  blockingWriteAndFlush(contents: Uint8Array): void | Promise<void> {
    if (contents.length > this.#room() || this.scope.mustTurn()) return this.#writeLater(contents);
    this.write(contents);
    return this.blockingFlush();
  }

  flush(): void {
    this.#room();
    this.#try(() => this.#sink.flush());
  }

  blockingFlush(): void | Promise<void> {
    this.flush();
    if (this.#sink.flushing()) return this.#flushed();
  }

  writeZeroes(length: bigint): void {
    const room = this.#room();
    if (length > BigInt(room)) {
      throw new GuestTrap(`${length} zeroes to write, check-write permits ${room}`);
    }
    this.write(new Uint8Array(Number(length)));
  }

  blockingWriteZeroesAndFlush(length: bigint): void | Promise<void> {
    if (length > BigInt(MAX_WRITE_BYTES)) {
      throw new GuestTrap(`${length} zeroes to write at once, at most ${MAX_WRITE_BYTES}`);
    }
    return this.blockingWriteAndFlush(new Uint8Array(Number(length)));
  }

  splice(source: InputStream, length: bigint): bigint {
    const limit = clampLength(length, this.#room());
    if (limit === 0) return 0n;
    const bytes = source.read(BigInt(limit));
    // The source may hand out the same buffer again.
    this.write(bytes.slice());
    return BigInt(bytes.length);
  }

  blockingSplice(source: InputStream, length: bigint): bigint | Promise<bigint> {
    const ready = this.#room() > 0 && source.pollSource.ready();
    if (ready && !this.scope.mustTurn()) return this.splice(source, length);
    return this.#spliceLater(source, length);
  }

  subscribe(): Pollable {
    return new Pollable(this.scope, this.pollSource, this);
  }

  /** Ready when check-write would not answer 0. */
  get pollSource(): PollSource {
    return {
      ready: () => this.#closed || this.#sink.ready(),
      watch: (callback) => this.#sink.watch(callback),
    };
  }

  protected override released(): void {
    this.#close();
  }

  #room(): number {
    if (this.#closed) throw closedError();
    const room = this.#try(() => this.#sink.room());
    if (room !== undefined) return Math.min(room, MAX_WRITE_BYTES);
    this.#close();
    throw closedError();
  }

  async #writeLater(contents: Uint8Array): Promise<void> {
    if (this.#room() > 0) await this.scope.turn();
    let written = 0;
    while (written < contents.length) {
      await untilReady(this.scope, this.pollSource);
      const part = contents.subarray(written, written + this.#room());
      this.write(part);
      written += part.length;
    }
    await this.blockingFlush();
  }

  async #flushed(): Promise<void> {
    while (!this.#closed && this.#sink.flushing()) {
      await this.scope.wait((done) => this.#sink.watch(done));
    }
    this.#room();
  }

  async #spliceLater(source: InputStream, length: bigint): Promise<bigint> {
    if (length === 0n) return 0n;
    for (;;) {
      await untilReady(this.scope, this.pollSource);
      await untilReady(this.scope, source.pollSource);
      const count = this.splice(source, length);
      if (count > 0n) return count;
    }
  }

  #try<Result>(step: () => Result): Result {
    return attempt(this.scope, step, () => this.#close());
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sink.close();
  }
}
