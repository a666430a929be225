import type { RaftCore } from "../raft/index.ts";
import type { Leadership } from "./store.ts";

/** @param options `writes`: whether the member's disk and its group let it write at all */
export function leadershipOf(
  core: RaftCore,
  appliedTerm: number,
  options: { readonly writes: boolean },
): Leadership {
  const { role, term, leader } = core;
  // With the first entry of its own term, a leader has applied all that was committed before.
  const self = role === "leader" && appliedTerm === term && options.writes;
  return { term, leader: leader === 0 ? undefined : leader, self };
}

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
