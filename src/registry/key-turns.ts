/**
 * Lets writers of one key go one after another, in the order they came. Writers of other keys do
 * not wait. Who waits here is a request in flight, so that their number is the bound.
 */
export class KeyTurns {
  /** By key: ends with the last writer that waits. */
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#last.set(key, ended);
    try {
      await before;
      return await work();
    } finally {
      end();
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
