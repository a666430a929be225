import { assert } from "../lib/index.ts";
import type {
  SoloEntry,
  SoloProposeResult,
  SoloRaftCore,
  SoloReadState,
  SoloReady,
} from "./solo-types.ts";
import type { LogIndex, Term } from "./types.ts";

export interface SoloCoreOptions {
  /** The last entry in the log; all of them are committed, because the quorum is one. */
  readonly lastIndex: LogIndex;
  readonly term: Term;
}

/**
 * A group of one member: always the leader, and an entry is committed once it is durable here.
 * What is committed leaves with the ready after the one that persisted it, so that the driver
 * writes the next batch while it applies the last.
 */
export function createSoloCore(options: SoloCoreOptions): SoloRaftCore {
  return new SoloCore(options);
}

class SoloCore implements SoloRaftCore {
  readonly term: Term;
  /** Proposed, not handed out yet. */
  #unstable: SoloEntry[] = [];
  /** Durable, not handed out for applying yet. */
  #committed: SoloEntry[] = [];
  #lastIndex: LogIndex;
  #commitIndex: LogIndex;
  #outstanding: SoloReady | undefined;

  constructor(options: SoloCoreOptions) {
    assert(options.term >= 1, `a leader's term is at least 1, not ${options.term}`);
    this.term = options.term;
    this.#lastIndex = options.lastIndex;
    this.#commitIndex = options.lastIndex;
  }

  propose(data: Uint8Array): SoloProposeResult {
    this.#lastIndex = (this.#lastIndex + 1) as LogIndex;
    this.#unstable.push({ index: this.#lastIndex, term: this.term, data });
    return { type: "accepted", index: this.#lastIndex };
  }

  readIndex(context: number): SoloReadState {
    return { context, index: this.#commitIndex };
  }

  hasReady(): boolean {
    const waiting = this.#unstable.length + this.#committed.length;
    return this.#outstanding === undefined && waiting > 0;
  }

  ready(): SoloReady {
    assert(this.#outstanding === undefined, "one ready at a time: advance comes first");
    const ready: SoloReady = {
      entries: this.#unstable,
      committed: this.#committed,
      readStates: [],
    };
    this.#unstable = [];
    this.#committed = [];
    this.#outstanding = ready;
    return ready;
  }

  advance(ready: SoloReady): void {
    assert(ready === this.#outstanding, "advance takes the ready that was handed out");
    this.#outstanding = undefined;
    this.#committed = [...ready.entries];
    this.#commitIndex = this.#committed.at(-1)?.index ?? this.#commitIndex;
  }
}
