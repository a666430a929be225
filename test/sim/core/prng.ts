/**
 * Small fast randomness for the hot loops (sfc32 by Chris Doty-Humphrey). Quality is ample for
 * choosing faults; the same seed gives the same run on every machine.
 */
export class Prng {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed = 0) {
    this.reseed(seed);
  }

  reseed(seed: number): void {
    this.#a = seed | 0;
    // Seeds above 2^32 differ too.
    this.#b = Math.floor(seed / 0x1_0000_0000) | 0;
    this.#c = 0x9e3779b9 | 0;
    this.#counter = 1;
    for (let round = 0; round < 12; round++) this.next();
  }

  /** A whole number of 32 bits, from 0. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A whole number from 0 up to, not including, `bound`. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in so many of a thousand cases. */
  permille(of: number): boolean {
    return of > 0 && this.below(1_000) < of;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}
