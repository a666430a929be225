/** Whoever must be alone with the state holds it; everybody else waits. */
export class Gate {
  #held: Promise<void> | undefined;

  get closed(): boolean {
    return this.#held !== undefined;
  }

  /** Resolves when nobody holds it. */
  async opened(): Promise<void> {
    while (this.#held !== undefined) await this.#held;
  }

  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    // Not by `opened`: of two who wait, both would find it open a moment later.
    while (this.#held !== undefined) await this.#held;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    try {
      return await work();
    } finally {
      this.#held = undefined;
      resolve();
    }
  }
}
