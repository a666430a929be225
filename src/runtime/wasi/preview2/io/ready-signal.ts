/** Tells whoever waits that something may have become ready. */
export class ReadySignal {
  readonly #watchers = new Set<() => void>();

  /** Calls back once, at the next {@link notify}; the answer cancels it. */
  watch(callback: () => void): () => void {
    const watcher = () => callback();
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  notify(): void {
    if (this.#watchers.size === 0) return;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher();
  }
}
