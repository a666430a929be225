import type { LogIndex } from "../raft/index.ts";

export interface RetentionLimits {
  /** Entries kept behind the applied one for members that are a little late. */
  readonly maxEntries: number;
  /** Their data at most. */
  readonly maxBytes: number;
}

export const RETENTION_LIMITS: RetentionLimits = {
  maxEntries: 50_000,
  maxBytes: 64 * 1024 * 1024,
};

/** An index is noted each time so much data has passed. */
const MARKS = 64;

/**
 * How much of the applied log is kept, so that a member that was away for a moment needs no
 * snapshot. It remembers a few indexes and the bytes between them.
 */
export class LogRetention {
  readonly #limits: RetentionLimits;
  /** Oldest first; `bytes` is what had been applied up to there. */
  #marks: { readonly index: LogIndex; readonly bytes: number }[] = [];
  #bytes = 0;
  #last: LogIndex;

  constructor(applied: LogIndex, limits: RetentionLimits = RETENTION_LIMITS) {
    this.#limits = limits;
    this.#last = applied;
    this.#marks.push({ index: applied, bytes: 0 });
  }

  note(index: LogIndex, bytes: number): void {
    this.#last = index;
    this.#bytes += bytes;
    const { maxBytes, maxEntries } = this.#limits;
    const newest = this.#marks.at(-1);
    const stepBytes = maxBytes / MARKS;
    const stepEntries = maxEntries / MARKS;
    const far =
      newest === undefined ||
      this.#bytes - newest.bytes >= stepBytes ||
      index - newest.index >= stepEntries;
    if (!far) return;
    this.#marks.push({ index, bytes: this.#bytes });
    const first = this.#marks.findIndex((mark) => this.#isKept(mark));
    // The newest one that is too old stays: it is what may be dropped.
    if (first > 1) this.#marks = this.#marks.slice(first - 1);
  }

  /** Entries up to here may go. */
  droppable(): LogIndex {
    let upTo = 0 as LogIndex;
    for (const mark of this.#marks) {
      if (this.#isKept(mark)) break;
      upTo = mark.index;
    }
    return upTo;
  }

  #isKept({ index, bytes }: { readonly index: LogIndex; readonly bytes: number }): boolean {
    const { maxBytes, maxEntries } = this.#limits;
    return this.#bytes - bytes < maxBytes && this.#last - index < maxEntries;
  }
}
