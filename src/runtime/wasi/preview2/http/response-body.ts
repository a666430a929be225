import type { InputSource } from "../io/input-stream.ts";
import { IoFailure } from "../io/io-failure.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import type { HttpError } from "./http-error.ts";

/** Bytes of a response held before its connection stops reading. */
export const RESPONSE_HIGH_WATER = 64 * 1024;

/** The body of a response as the guest reads it. */
export class ResponseBody implements InputSource {
  readonly #signal = new ReadySignal();
  readonly #onRoom: (options: { readonly full: boolean }) => void;
  readonly #onClose: () => void;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #full = false;
  #ended = false;
  #failure: IoFailure | undefined;
  #closed = false;

  constructor(on: { room: (options: { readonly full: boolean }) => void; close: () => void }) {
    this.#onRoom = on.room;
    this.#onClose = on.close;
  }

  // What the exchange says.

  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#chunks.push(bytes);
    this.#held += bytes.length;
    this.#checkRoom();
    this.#signal.notify();
  }

  end(): void {
    this.#ended = true;
    this.#signal.notify();
  }

  fail(error: HttpError): void {
    if (this.#ended) return;
    this.#failure = new IoFailure(error.message, { kind: "http", code: error.code });
    this.#signal.notify();
  }

  get full(): boolean {
    return this.#full;
  }

  // What the guest asks.

  /** Whether the guest read all there is. */
  get complete(): boolean {
    return this.#ended && this.#held === 0;
  }

  read(limit: number): Uint8Array | undefined {
    const [first] = this.#chunks;
    if (first === undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#ended ? undefined : new Uint8Array();
    }
    const part = first.subarray(0, limit);
    if (part.length < first.length) this.#chunks[0] = first.subarray(limit);
    else this.#chunks.shift();
    this.#held -= part.length;
    this.#checkRoom();
    return part;
  }

  ready(): boolean {
    return this.#held > 0 || this.#ended || this.#failure !== undefined;
  }

  watch(callback: () => void): () => void {
    return this.#signal.watch(callback);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    this.#held = 0;
    this.#onClose();
  }

  #checkRoom(): void {
    const full = this.#held >= RESPONSE_HIGH_WATER;
    if (full === this.#full) return;
    this.#full = full;
    this.#onRoom({ full });
  }
}
