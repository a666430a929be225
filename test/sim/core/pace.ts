import type { Prng } from "./prng.ts";

/** Spreads a number of things over a time, unevenly, and all of them within it. */
export class Pace {
  #left = 0;
  #next = 0;
  #end = 0;

  reset(count: number, from: number, end: number): void {
    this.#left = count;
    this.#next = from;
    this.#end = end;
  }

  due(step: number): boolean {
    return this.#left > 0 && step >= this.#next;
  }

  /** One is done: says when the next one is. */
  next(step: number, prng: Prng): void {
    this.#left -= 1;
    const mean = (this.#end - step) / (this.#left + 1);
    this.#next = Math.min(this.#end - 1, step + prng.below(Math.max(1, 2 * mean)));
  }
}
