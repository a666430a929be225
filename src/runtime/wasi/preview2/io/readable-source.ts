import type { InputSource } from "./input-stream.ts";
import { IoFailure } from "./io-failure.ts";
import { ReadySignal } from "./ready-signal.ts";

/**
 * Reads a ReadableStream on demand: nothing is asked of it before the guest asks, and at most one
 * of its chunks is held.
 */
export class ReadableSource implements InputSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal = new ReadySignal();
  readonly #failed: (error: unknown) => IoFailure;
  #chunk: Uint8Array | undefined;
  #reading = false;
  #ended = false;
  #failure: IoFailure | undefined;

  /** `failed` says what a failure of the stream is to the guest. */
  constructor(stream: ReadableStream<Uint8Array>, failed: (error: unknown) => IoFailure) {
    this.#reader = stream.getReader();
    this.#failed = failed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  read(limit: number): Uint8Array | undefined {
    const chunk = this.#chunk;
    if (chunk !== undefined) {
      const part = chunk.subarray(0, limit);
      this.#chunk = part.length < chunk.length ? chunk.subarray(limit) : undefined;
      return part;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return undefined;
    this.#pull();
    return new Uint8Array();
  }

  ready(): boolean {
    if (this.#chunk !== undefined || this.#ended || this.#failure !== undefined) return true;
    this.#pull();
    return false;
  }

  watch(callback: () => void): () => void {
    return this.#signal.watch(callback);
  }

  close(): void {
    this.#chunk = undefined;
    if (this.#ended || this.#failure !== undefined) return;
    this.#ended = true;
    // Nobody is left to be told when cancelling fails.
    this.#reader.cancel().catch(() => undefined);
  }

  #pull(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#reader.read().then(
      ({ done, value }) => {
        this.#reading = false;
        if (done) this.#ended = true;
        else if (value.length > 0 && !this.#ended) this.#chunk = value;
        else return this.#pull();
        this.#signal.notify();
      },
      (error: unknown) => {
        this.#reading = false;
        this.#failure = this.#failed(error);
        this.#signal.notify();
      },
    );
  }
}
