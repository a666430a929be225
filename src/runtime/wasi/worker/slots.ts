/** Admits a bounded number at once; a bounded number waits; more are turned away. */
export class Slots {
  readonly #limit: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(limit: number, maxWaiting: number) {
    this.#limit = Math.max(1, limit);
    this.#maxWaiting = maxWaiting;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Resolves once there is a slot; `undefined` when too many wait already. */
  take(): Promise<void> | undefined {
    if (this.#taken < this.#limit) {
      this.#taken++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#maxWaiting) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    // The slot passes on without becoming free in between.
    if (next !== undefined) next();
    else this.#taken--;
  }
}
