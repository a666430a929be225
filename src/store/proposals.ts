import { assert } from "../lib/index.ts";
import { commandMaxBytes, encodeCommands, StoreError } from "../mvcc/index.ts";
import type { Command, CommandResult } from "../mvcc/index.ts";
import type { LogIndex, MemberId, Term } from "../raft/index.ts";

export interface DriverLimits {
  /** Proposals that wait for a batch; more are refused as overloaded. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** A batch takes no further command when it has so many, or so many bytes. */
  readonly maxBatchCommands: number;
  readonly maxBatchBytes: number;
}

export const DRIVER_LIMITS: DriverLimits = {
  maxWaiting: 16_384,
  maxWaitingBytes: 64 * 1024 * 1024,
  maxBatchCommands: 512,
  maxBatchBytes: 1024 * 1024,
};

/** What is undecided for so long is answered as unavailable: it may still happen. */
export const DECISION_MS = 10_000;

interface Proposal {
  readonly command: Command;
  readonly bytes: number;
  /** The only term in which it may be written; 0 for any. */
  readonly term: Term | 0;
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: StoreError) => void;
}

/** Commands that become one log entry. */
export interface Batch {
  readonly proposals: readonly Proposal[];
  readonly data: Uint8Array;
}

/** An entry that was proposed and not decided. It is known by its index and its term. */
interface Undecided {
  readonly term: Term;
  readonly deadlineMs: number;
  readonly settle: (outcome: readonly CommandResult[] | StoreError) => void;
  /**
   * What an earlier term proposed at the same index. It left our log, but a member that still has
   * it may bring it back: only what is applied at the index decides about both.
   */
  readonly earlier: Undecided | undefined;
}

/**
 * What callers want written: what waits for the next entry, and what is in the log and undecided.
 * An entry is decided when its index is applied: by its own term it happened, by another it never
 * will.
 */
export class Proposals {
  readonly #limits: DriverLimits;
  #waiting: Proposal[] = [];
  #waitingBytes = 0;
  /** A batch that the core would not take yet. */
  #held: Batch | undefined;
  readonly #undecided = new Map<LogIndex, Undecided>();

  constructor(limits: DriverLimits = DRIVER_LIMITS) {
    this.#limits = limits;
  }

  get waiting(): boolean {
    return this.#waiting.length > 0 || this.#held !== undefined;
  }

  get undecided(): number {
    return this.#undecided.size;
  }

  /** @throws StoreError overloaded, and what settles it later */
  add(command: Command, term: Term | 0): Promise<CommandResult> {
    const bytes = commandMaxBytes(command);
    const { maxWaiting, maxWaitingBytes } = this.#limits;
    const full = this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes;
    if (full) {
      const waiting = `${this.#waiting.length} proposals of ${this.#waitingBytes} bytes wait`;
      return Promise.reject(new StoreError("overloaded", `the store is overloaded: ${waiting}`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, bytes, term, resolve, reject });
      this.#waitingBytes += bytes;
    });
  }

  /** The next entry's commands; those of another term than the present one are refused here. */
  take(term: Term, leader: MemberId | 0): Batch | undefined {
    if (this.#held !== undefined) {
      const held = this.#held;
      this.#held = undefined;
      return held;
    }
    const { maxBatchCommands, maxBatchBytes } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const proposal of this.#waiting) {
      const full = count >= maxBatchCommands || bytes + proposal.bytes > maxBatchBytes;
      if (full && count > 0) break;
      count += 1;
      bytes += proposal.bytes;
    }
    const taken = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    const proposals = taken.filter((proposal) => {
      const current = proposal.term === 0 || proposal.term === term;
      if (!current) proposal.reject(notLeaderError(leader));
      return current;
    });
    if (proposals.length === 0) return undefined;
    return { proposals, data: encodeCommands(proposals.map((proposal) => proposal.command)) };
  }

  /** The core has no room for it yet: it comes first again. */
  hold(batch: Batch): void {
    assert(this.#held === undefined, "one batch is held at most");
    this.#held = batch;
  }

  refuse(batch: Batch, error: StoreError): void {
    for (const proposal of batch.proposals) proposal.reject(error);
  }

  proposed(batch: Batch, at: { index: LogIndex; term: Term; nowMs: number }): void {
    this.track(at, (outcome) => {
      for (const [number, proposal] of batch.proposals.entries()) {
        if (outcome instanceof StoreError) proposal.reject(outcome);
        else {
          const result = outcome[number];
          assert(result !== undefined, `entry ${at.index} gave no result for command ${number}`);
          proposal.resolve(result);
        }
      }
    });
  }

  track(at: { index: LogIndex; term: Term; nowMs: number }, settle: Undecided["settle"]): void {
    const { index, term, nowMs } = at;
    const earlier = this.#undecided.get(index);
    // Deleted first, so that the map stays in the order of deadlines.
    this.#undecided.delete(index);
    this.#undecided.set(index, { term, deadlineMs: nowMs + DECISION_MS, settle, earlier });
  }

  /** An index was applied: whoever proposed there hears what became of it. */
  applied(
    entry: { readonly index: LogIndex; readonly term: Term },
    results: readonly CommandResult[],
  ): void {
    if (this.#undecided.size === 0) return;
    let undecided = this.#undecided.get(entry.index);
    this.#undecided.delete(entry.index);
    for (; undecided !== undefined; undecided = undecided.earlier) {
      undecided.settle(undecided.term === entry.term ? results : replacedError());
    }
  }

  /** A snapshot took the place of every entry up to its index: what they were is not known. */
  skipped(index: LogIndex): void {
    for (const [at, undecided] of this.#undecided) {
      if (at > index) continue;
      this.#undecided.delete(at);
      settleAll(undecided, undecidedError("a snapshot came in its place"));
    }
  }

  /** What was not proposed yet is refused: nothing of it was or will be written. */
  refuseWaiting(error: StoreError): void {
    const waiting = this.#waiting;
    const held = this.#held;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#held = undefined;
    if (held !== undefined) this.refuse(held, error);
    for (const proposal of waiting) proposal.reject(error);
  }

  /** Answers what is in the log and undecided with an error that leaves its fate open. */
  abandon(error: StoreError): void {
    for (const [index, undecided] of this.#undecided) {
      this.#undecided.delete(index);
      settleAll(undecided, error);
    }
  }

  expire(nowMs: number): void {
    for (const [index, undecided] of this.#undecided) {
      // They were proposed in this order.
      if (undecided.deadlineMs > nowMs) break;
      this.#undecided.delete(index);
      settleAll(undecided, undecidedError(`no majority answered within ${DECISION_MS} ms`));
    }
  }
}

function settleAll(latest: Undecided, error: StoreError): void {
  let undecided: Undecided | undefined = latest;
  for (; undecided !== undefined; undecided = undecided.earlier) undecided.settle(error);
}

export function notLeaderError(leader: MemberId | 0): StoreError {
  const who = leader === 0 ? "no leader is known" : `member ${leader} leads`;
  return new StoreError("not-leader", `this member may not write: ${who}`);
}

function replacedError(): StoreError {
  const why = "another leader's entry took the place of this write in the log";
  return new StoreError("not-leader", `nothing was written: ${why}`);
}

function undecidedError(why: string): StoreError {
  return new StoreError("unavailable", `whether this was written is unknown: ${why}`);
}
