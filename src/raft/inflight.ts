import { assert } from "../lib/index.ts";

/**
 * The appends on their way to a peer, by the last index of each, oldest first. The window is full
 * when it holds so many appends or so many bytes.
 */
export class InflightWindow {
  readonly #maxAppends: number;
  readonly #maxBytes: number;
  #lastIndexes: number[] = [];
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxAppends: number, maxBytes: number) {
    this.#maxAppends = maxAppends;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#lastIndexes.length - this.#head;
  }

  get full(): boolean {
    return this.count >= this.#maxAppends || this.#bytes >= this.#maxBytes;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.full, `a full window of ${this.count} appends takes no other`);
    this.#lastIndexes.push(lastIndex);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Everything up to this index has arrived. */
  freeTo(index: number): void {
    while (this.count > 0 && (this.#lastIndexes[this.#head] as number) <= index) this.freeOne();
  }

  /** Room for one probe of whether the peer answers again. */
  freeOne(): void {
    if (this.count === 0) return;
    this.#bytes -= this.#sizes[this.#head] as number;
    this.#head++;
    if (this.#head === this.#lastIndexes.length) {
      this.clear();
    } else if (this.#head >= this.#maxAppends) {
      this.#lastIndexes = this.#lastIndexes.slice(this.#head);
      this.#sizes = this.#sizes.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    if (this.#lastIndexes.length > 0) {
      this.#lastIndexes = [];
      this.#sizes = [];
    }
    this.#head = 0;
    this.#bytes = 0;
  }
}
