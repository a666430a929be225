import { assert } from "../../lib/index.ts";
import type { LogEntry, LogIndex, Term } from "../../raft/index.ts";
import type { LogPoint } from "./log-types.ts";

/** Frames next to each other are one extent until it has so many bytes. */
export const EXTENT_BYTES = 64 * 1024;

/** Frames next to each other in a segment, and the entries that live in them. */
export interface Extent<Segment> {
  readonly segment: Segment;
  readonly offset: number;
  readonly firstIndex: LogIndex;
  /** Entries behind it in these frames were replaced by what a later extent has. */
  lastIndex: LogIndex;
  bytes: number;
}

interface Run {
  readonly firstIndex: LogIndex;
  readonly term: Term;
}

/**
 * What the log holds and where: an extent for every 64 KiB (some eighty bytes of memory) and a run
 * for every term. Writing an entry again ends everything behind it, as on the medium:
 *
 *     write 1–10 (a), 11–20 (b)     extents a[1–10] b[11–20]
 *     write 8–9 (c)                 extents a[1–7]  c[8–9]
 */
export class LogMap<Segment> {
  #base: LogPoint;
  #lastIndex: LogIndex;
  #extents: Extent<Segment>[] = [];
  /** The first one begins behind the base. */
  #runs: Run[] = [];

  constructor(base: LogPoint) {
    this.#base = base;
    this.#lastIndex = base.index;
  }

  get base(): LogPoint {
    return this.#base;
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  get lastTerm(): Term {
    return this.#runs.at(-1)?.term ?? this.#base.term;
  }

  get extentCount(): number {
    return this.#extents.length;
  }

  /** Entries that are durable now, as one frame at this place. */
  write(
    entries: readonly LogEntry[],
    place: { readonly segment: Segment; readonly offset: number; readonly end: number },
  ): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(
      first.index > this.#base.index && first.index <= this.#lastIndex + 1,
      `entry ${first.index} neither follows ${this.#lastIndex} nor replaces one behind the base`,
    );
    this.endBefore(first.index);
    for (const entry of entries) {
      if (entry.term !== this.lastTerm || this.#runs.length === 0) {
        this.#runs.push({ firstIndex: entry.index, term: entry.term });
      }
      this.#lastIndex = entry.index;
    }
    const { segment, offset, end } = place;
    const last = this.#extents.at(-1);
    const next = last !== undefined && last.segment === segment && last.offset + last.bytes;
    if (last !== undefined && next === offset && last.bytes < EXTENT_BYTES) {
      last.bytes = end - last.offset;
      last.lastIndex = this.#lastIndex;
      return;
    }
    const lastIndex = this.#lastIndex;
    this.#extents.push({
      segment,
      offset,
      firstIndex: first.index,
      lastIndex,
      bytes: end - offset,
    });
  }

  termAt(index: LogIndex): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    if (index < this.#base.index || index > this.#lastIndex) return undefined;
    return this.#runs[lastAtOrBefore(this.#runs, index)]?.term;
  }

  /** Copies of the extents from the one with this index on; `limit` at most. */
  extentsFrom(index: LogIndex, limit: number): Extent<Segment>[] {
    const at = lastAtOrBefore(this.#extents, index);
    return this.#extents.slice(at, at + limit).map((extent) => ({ ...extent }));
  }

  /** Where to begin so that what is from there on has about so many bytes. */
  startOfTail(bytes: number): LogIndex {
    let sum = 0;
    for (const extent of this.#extents.toReversed()) {
      sum += extent.bytes;
      if (sum > bytes) return (extent.lastIndex + 1) as LogIndex;
      if (extent === this.#extents[0]) return extent.firstIndex;
    }
    return (this.#lastIndex + 1) as LogIndex;
  }

  /** Forgets what was in the segments that `gone` names; they are the oldest ones. */
  drop(gone: (segment: Segment) => boolean): void {
    let count = 0;
    while (count < this.#extents.length) {
      const extent = this.#extents[count];
      if (extent === undefined || !gone(extent.segment)) break;
      count += 1;
    }
    if (count === 0) return;
    const index = this.#extents[count - 1]?.lastIndex ?? this.#lastIndex;
    this.rebase({ index, term: this.termAt(index) ?? this.#base.term });
    this.#extents.splice(0, count);
  }

  /** The log begins behind this entry from now on, which it has. */
  rebase(base: LogPoint): void {
    const run = lastAtOrBefore(this.#runs, base.index);
    this.#runs.splice(0, Math.max(0, run));
    if (base.index >= this.#lastIndex) this.#runs = [];
    this.#base = base;
  }

  /** Forgets this entry and all behind it. */
  endBefore(index: LogIndex): void {
    if (index > this.#lastIndex) return;
    while ((this.#extents.at(-1)?.firstIndex ?? 0) >= index) this.#extents.pop();
    while ((this.#runs.at(-1)?.firstIndex ?? 0) >= index) this.#runs.pop();
    const last = this.#extents.at(-1);
    if (last !== undefined) last.lastIndex = (index - 1) as LogIndex;
    this.#lastIndex = (index - 1) as LogIndex;
  }
}

/** Position of the last item that begins at or before an index; -1 when all begin behind it. */
function lastAtOrBefore(items: readonly { readonly firstIndex: LogIndex }[], index: LogIndex) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.firstIndex ?? Infinity) <= index) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
