import type { Leadership } from "./store.ts";

/** Who leads, as this store knows it, and who wants to hear of changes. */
export class LeadershipView {
  #now: Leadership;
  readonly #listeners = new Set<(leadership: Leadership) => void>();

  constructor(now: Leadership) {
    this.#now = now;
  }

  get now(): Leadership {
    return this.#now;
  }

  set(next: Leadership): void {
    const { term, leader, self } = this.#now;
    if (next.term === term && next.leader === leader && next.self === self) return;
    this.#now = next;
    for (const listener of this.#listeners) listener(next);
  }

  listen(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
