import type { InputSource } from "../io/input-stream.ts";
import { ReadySignal } from "../io/ready-signal.ts";

/** Bytes of a body held before its connection stops reading. */
export const RECEIVED_HIGH_WATER = 64 * 1024;

/** The body of a message that comes in by a connection, as the guest reads it. */
export class ReceivedBody implements InputSource {
  readonly #signal = new ReadySignal();
  readonly #onRoom: (options: { readonly full: boolean }) => void;
  readonly #onClose: () => void;
  readonly #onHeld: ((change: number) => void) | undefined;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #full = false;
  #ended = false;
  #failure: Error | undefined;
  #closed = false;

  /** `held` hears of each change of what is held, in bytes. */
  constructor(on: {
    readonly room: (options: { readonly full: boolean }) => void;
    readonly close: () => void;
    readonly held?: (change: number) => void;
  }) {
    this.#onRoom = on.room;
    this.#onClose = on.close;
    this.#onHeld = on.held;
  }

  // What the connection says.

  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#chunks.push(bytes);
    this.#hold(bytes.length);
    this.#signal.notify();
  }

  end(): void {
    this.#ended = true;
    this.#signal.notify();
  }

  /** It broke off: who reads it gets the failure thrown, after what has arrived. */
  fail(failure: Error): void {
    if (this.#ended) return;
    this.#failure = failure;
    this.#signal.notify();
  }

  get full(): boolean {
    return this.#full;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** Nobody reads it any more: what comes is dropped. */
  get closed(): boolean {
    return this.#closed;
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
    this.#hold(-part.length);
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
    this.#onHeld?.(-this.#held);
    this.#held = 0;
    this.#onClose();
  }

  #hold(change: number): void {
    this.#held += change;
    this.#onHeld?.(change);
    const full = this.#held >= RECEIVED_HIGH_WATER;
    if (full === this.#full) return;
    this.#full = full;
    this.#onRoom({ full });
  }
}
