import { assert } from "../lib/index.ts";
import type { LogEntry, LogIndex, RaftOptions, SnapshotPoint, Term } from "./types.ts";

/** What an entry costs beside its data, in memory and in a message. */
const ENTRY_OVERHEAD_BYTES = 32;

export function entryBytes(entry: LogEntry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/**
 * The member's log: its end in memory, the rest known by term only.
 *
 *     compacted < … on disk only … < first … in memory … last
 *     applied ≤ handing ≤ min(commit, stable)      stable ≤ handed ≤ last
 *
 * `handed` and `handing` are what the outstanding ready persists and applies. Everything that is
 * not applied or not durable stays in memory.
 */
export class RaftLog {
  compactedIndex: LogIndex;
  compactedTerm: Term;
  lastIndex: LogIndex;
  lastTerm: Term;
  commit: LogIndex;
  /** Applied by the driver, as far as it has advanced. */
  applied: LogIndex;
  /** Durable here. */
  stable: LogIndex;
  /** What the entries in memory take. */
  bytes = 0;
  /** Arrived, and not handed out yet. */
  snapshot: SnapshotPoint | undefined;
  #handed: LogIndex;
  #handing: LogIndex;
  /** The log in memory begins at `#entries[#head]`, which has the index `#first`. */
  #entries: LogEntry[];
  #head = 0;
  #first: number;
  /** Config entries behind `applied`, ascending. */
  #configs: number[] = [];
  readonly #maxBytes: number;
  readonly #termOnDisk: (index: LogIndex) => Term | undefined;

  constructor(options: RaftOptions, maxBytes: number) {
    const { entries, compactedIndex, compactedTerm, appliedIndex } = options;
    this.#maxBytes = maxBytes;
    this.#termOnDisk = options.termAt;
    this.compactedIndex = compactedIndex;
    this.compactedTerm = compactedTerm;
    this.#entries = [...entries];
    const last = entries.at(-1);
    this.lastIndex = last?.index ?? compactedIndex;
    this.lastTerm = last?.term ?? compactedTerm;
    this.#first = entries[0]?.index ?? this.lastIndex + 1;
    this.applied = appliedIndex;
    this.#handing = appliedIndex;
    this.stable = this.lastIndex;
    this.#handed = this.lastIndex;
    this.commit = Math.max(
      appliedIndex,
      Math.min(options.hardState.commit, this.lastIndex),
    ) as LogIndex;
    assert(appliedIndex >= compactedIndex, `compacted at ${compactedIndex}, not yet applied`);
    assert(
      appliedIndex <= this.lastIndex,
      `applied ${appliedIndex}, but the log ends at ${this.lastIndex}`,
    );
    assert(
      this.#first <= appliedIndex + 1,
      `the entries behind ${appliedIndex} are needed, not from ${this.#first}`,
    );
    this.#checkEntries(entries);
  }

  #checkEntries(entries: readonly LogEntry[]): void {
    let expected = this.#first;
    for (const entry of entries) {
      assert(entry.index === expected, `entry ${entry.index} follows ${expected - 1}`);
      expected++;
      this.bytes += entryBytes(entry);
      if (entry.type === "config" && entry.index > this.applied) this.#configs.push(entry.index);
    }
  }

  get firstInMemory(): number {
    return this.#first;
  }

  /** Undefined of an index that is not, or no longer, in the log. */
  term(index: number): Term | undefined {
    if (index === this.lastIndex) return this.lastTerm;
    if (index > this.lastIndex || index < this.compactedIndex) return undefined;
    if (index === this.compactedIndex) return this.compactedTerm;
    if (index >= this.#first) return this.#at(index).term;
    return this.#termOnDisk(index as LogIndex);
  }

  /** Whether a candidate with this log may lead (section 3.6.1). */
  isUpToDate(index: LogIndex, term: Term): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);
  }

  /** The first config entry that is not applied; 0 if there is none. */
  get unappliedConfig(): number {
    return this.#configs[0] ?? 0;
  }

  /** Something may be applied before more is taken: appends have to wait. */
  get overloaded(): boolean {
    return this.bytes > 2 * this.#maxBytes && this.applied < this.commit;
  }

  append(entry: LogEntry): void {
    assert(entry.index === this.lastIndex + 1, `${entry.index} follows ${this.lastIndex}`);
    assert(entry.term >= this.lastTerm, `term ${entry.term} after term ${this.lastTerm}`);
    this.#entries.push(entry);
    this.lastIndex = entry.index;
    this.lastTerm = entry.term;
    this.bytes += entryBytes(entry);
    if (entry.type === "config") this.#configs.push(entry.index);
  }

  /**
   * Takes a leader's entries that follow `previousIndex` (section 3.5): what conflicts is replaced,
   * what is there already stays, also behind them. Answers the last index that matches for sure.
   */
  merge(previousIndex: LogIndex, entries: readonly LogEntry[]): LogIndex {
    for (let place = 0; place < entries.length; place++) {
      const entry = entries[place] as LogEntry;
      if (this.term(entry.index) === entry.term || entry.index <= this.compactedIndex) continue;
      if (entry.index <= this.lastIndex) this.#truncate(entry.index);
      for (let rest = place; rest < entries.length; rest++) this.append(entries[rest] as LogEntry);
      break;
    }
    return (previousIndex + entries.length) as LogIndex;
  }

  #truncate(from: LogIndex): void {
    assert(from > this.commit, `entry ${from} is committed (to ${this.commit}): it stays`);
    assert(from >= this.#first, `entry ${from} is on disk only, so that it is applied: it stays`);
    const keep = this.#head + (from - this.#first);
    for (let place = keep; place < this.#entries.length; place++) {
      this.bytes -= entryBytes(this.#entries[place] as LogEntry);
    }
    this.lastTerm = this.term(from - 1) as Term;
    this.lastIndex = (from - 1) as LogIndex;
    this.#entries.length = keep;
    this.stable = Math.min(this.stable, this.lastIndex) as LogIndex;
    this.#handed = Math.min(this.#handed, this.lastIndex) as LogIndex;
    while ((this.#configs.at(-1) ?? 0) >= from) this.#configs.pop();
  }

  /**
   * The last index, from `index` down, whose term is not above `term`: where two logs may meet.
   * Never below `floor`.
   */
  lastNotAfter(index: number, term: Term, floor: number): LogIndex {
    let place = Math.min(index, this.lastIndex);
    while (place > floor && (this.term(place) ?? 0) > term) place--;
    return Math.max(place, floor) as LogIndex;
  }

  commitTo(index: number): boolean {
    if (index <= this.commit) return false;
    assert(index <= this.lastIndex, `commit ${index} is behind the log's end ${this.lastIndex}`);
    this.commit = index as LogIndex;
    return true;
  }

  /** Entries from `from`, in memory, of at most so many bytes, but at least one. */
  slice(from: number, maxBytes: number, last: number = this.lastIndex): LogEntry[] {
    assert(from >= this.#first, `entry ${from} is not in memory, which begins at ${this.#first}`);
    const found: LogEntry[] = [];
    let bytes = 0;
    for (let index = from; index <= last; index++) {
      const entry = this.#at(index);
      bytes += entryBytes(entry);
      if (bytes > maxBytes && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  /** How much data these entries, all in memory, have. */
  dataBytes(first: number, last: number): number {
    let bytes = 0;
    for (let index = first; index <= last; index++) bytes += this.#at(index).data.length;
    return bytes;
  }

  get hasUnhanded(): boolean {
    return this.#handed < this.lastIndex;
  }

  /** What has to be made durable. */
  takeUnstable(): LogEntry[] {
    if (!this.hasUnhanded) return [];
    const entries = this.slice(this.#handed + 1, Infinity);
    this.#handed = this.lastIndex;
    return entries;
  }

  /** Whether some committed entry is durable here, and not handed out. */
  get hasCommitted(): boolean {
    return this.snapshot === undefined && this.#handing < Math.min(this.commit, this.stable);
  }

  takeCommitted(maxBytes: number): LogEntry[] {
    if (!this.hasCommitted) return [];
    const last = Math.min(this.commit, this.stable);
    const entries = this.slice(this.#handing + 1, maxBytes, last);
    this.#handing = (this.#handing + entries.length) as LogIndex;
    return entries;
  }

  /** The driver has applied this config entry. */
  appliedConfig(index: LogIndex): void {
    assert(index === this.#configs[0], `config entry ${this.#configs[0]} comes before ${index}`);
    assert(index <= this.#handing, `config entry ${index} was not handed out as committed`);
    this.#configs.shift();
  }

  /** What was handed out is durable up to `persisted`, and applied. */
  advance(persisted: number): void {
    this.stable = Math.max(this.stable, Math.min(this.#handed, persisted)) as LogIndex;
    const config = this.#configs[0] ?? Infinity;
    assert(config > this.#handing, `config entry ${config} was handed out, but not applied`);
    this.applied = this.#handing;
    if (this.bytes > this.#maxBytes) this.#evict();
  }

  /** Entries come from disk from now on. A quarter more than needed goes, so that it is rare. */
  #evict(): void {
    const limit = Math.min(this.applied, this.stable);
    const target = this.#maxBytes * 0.75;
    while (this.bytes > target && this.#first <= limit) this.#dropFirst();
    this.#closeGap();
  }

  /** Everything up to the point is gone from the disk's log too. */
  compact(point: SnapshotPoint): void {
    if (point.index <= this.compactedIndex) return;
    assert(point.index <= this.applied, `${point.index} is not applied: it cannot be compacted`);
    this.compactedIndex = point.index;
    this.compactedTerm = point.term;
    while (this.#first <= point.index) this.#dropFirst();
    this.#closeGap();
  }

  /** The whole log gives way to a snapshot. */
  restore(point: SnapshotPoint): void {
    assert(point.index > this.commit, `a snapshot at ${point.index} is older than the log`);
    this.snapshot = point;
    this.compactedIndex = point.index;
    this.compactedTerm = point.term;
    this.lastIndex = point.index;
    this.lastTerm = point.term;
    this.commit = point.index;
    this.applied = point.index;
    this.stable = point.index;
    this.#handed = point.index;
    this.#handing = point.index;
    this.#entries = [];
    this.#head = 0;
    this.#first = point.index + 1;
    this.bytes = 0;
    this.#configs = [];
  }

  #at(index: number): LogEntry {
    return this.#entries[this.#head + index - this.#first] as LogEntry;
  }

  #dropFirst(): void {
    const entry = this.#entries[this.#head];
    if (entry === undefined) {
      this.#first = this.lastIndex + 1;
      return;
    }
    this.bytes -= entryBytes(entry);
    this.#head++;
    this.#first++;
  }

  #closeGap(): void {
    if (this.#head === 0) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}
