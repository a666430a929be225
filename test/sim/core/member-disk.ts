import { assert } from "../../../src/lib/index.ts";
import type { Configuration, LogEntry, Ready, SnapshotPoint } from "../../../src/raft/index.ts";

/** What one member would find after a crash: only what a finished write left. */
export class MemberDisk {
  term = 0;
  vote = 0;
  commit = 0;
  /** The entry before the first one the log has. */
  compactedIndex = 0;
  compactedTerm = 0;
  /** The state on disk; between `compactedIndex` and what is applied. */
  appliedIndex = 0;
  /** The log lost its end to damage and has to reach this index again; 0 when it is whole. */
  recoverTo = 0;
  /** The term of the entry there. */
  recoverToTerm = 0;
  entries: LogEntry[] = [];

  reset(point: SnapshotPoint | undefined): void {
    this.term = point?.term ?? 0;
    this.vote = 0;
    this.commit = point?.index ?? 0;
    this.compactedIndex = point?.index ?? 0;
    this.compactedTerm = point?.term ?? 0;
    this.appliedIndex = this.compactedIndex;
    this.recoverTo = 0;
    this.entries = [];
  }

  get lastIndex(): number {
    return this.compactedIndex + this.entries.length;
  }

  /** Undefined outside of the log; the compacted entry's term is known. */
  termAt(index: number): number | undefined {
    if (index === this.compactedIndex) return this.compactedTerm;
    return this.entries[index - this.compactedIndex - 1]?.term;
  }

  /**
   * Whether this member certainly keeps the entry of that term, or its effect; or lost it to
   * damage, and decides nothing against it before it has it again.
   */
  holds(index: number, term: number): boolean {
    if (index <= this.compactedIndex || this.termAt(index) === term) return true;
    return index > this.lastIndex && index <= this.recoverTo;
  }

  write(ready: Ready): void {
    const { hardState, entries, snapshot } = ready;
    if (snapshot !== undefined) this.#install(snapshot);
    if (hardState !== undefined) {
      this.term = hardState.term;
      this.vote = hardState.vote;
      this.commit = hardState.commit;
    }
    const first = entries[0];
    if (first === undefined) return;
    const keep = first.index - this.compactedIndex - 1;
    assert(keep >= 0 && keep <= this.entries.length, `no gap in the log before ${first.index}`);
    this.entries.length = keep;
    for (let at = 0; at < entries.length; at++) this.entries.push(entries[at] as LogEntry);
  }

  /** Forgets the entries up to this index, which the state has. */
  compact(index: number): void {
    const term = this.termAt(index);
    assert(term !== undefined && index <= this.appliedIndex, `${index} can be compacted`);
    this.entries.splice(0, index - this.compactedIndex);
    this.compactedIndex = index;
    this.compactedTerm = term;
  }

  /** Damage takes the end of the log from this index on; whoever opens the log notices. */
  damage(from: number): void {
    assert(this.recoverTo === 0, "a log is damaged once before it is whole again");
    this.recoverTo = this.lastIndex;
    this.recoverToTerm = this.termAt(this.lastIndex) as number;
    this.entries.length = from - this.compactedIndex - 1;
  }

  #install(snapshot: SnapshotPoint): void {
    this.entries = [];
    this.compactedIndex = snapshot.index;
    this.compactedTerm = snapshot.term;
    this.appliedIndex = snapshot.index;
  }
}

export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  witnesses: [],
  autoLeave: false,
};
