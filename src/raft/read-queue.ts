import type { MemberId } from "./types.ts";

/** Who asked: the member itself, or a follower on behalf of its own. */
export interface PendingRead {
  readonly from: MemberId;
  readonly context: number;
  readonly index: number;
}

interface Round {
  readonly round: number;
  readonly reads: readonly PendingRead[];
}

/**
 * A leader's reads on their way to an answer (dissertation, section 6.4): they wait for an entry of
 * its term to be committed, then for the next round of heartbeats, then for a majority's answer to
 * that round or a later one.
 */
export class LeaderReads {
  /** They came before the leader knew what is committed. */
  early: PendingRead[] = [];
  /** They leave with the next round. */
  unsent: PendingRead[] = [];
  #rounds: Round[] = [];
  #lastRound = 0;
  #waiting = 0;

  /** Reads that are not answered, for the bound on them. */
  get count(): number {
    return this.early.length + this.unsent.length + this.#waiting;
  }

  /** What a heartbeat asks for: the latest round that is not confirmed; 0 for none. */
  get openRound(): number {
    return this.#rounds.length > 0 ? this.#lastRound : 0;
  }

  /** The unsent reads become a round. */
  startRound(): number {
    this.#lastRound++;
    this.#rounds.push({ round: this.#lastRound, reads: this.unsent });
    this.#waiting += this.unsent.length;
    this.unsent = [];
    return this.#lastRound;
  }

  /** A majority answered this round, and by that every one before it. */
  confirmed(round: number): readonly PendingRead[] {
    const done: PendingRead[] = [];
    let count = 0;
    for (const open of this.#rounds) {
      if (open.round > round) break;
      done.push(...open.reads);
      count++;
    }
    if (count > 0) this.#rounds = this.#rounds.slice(count);
    this.#waiting -= done.length;
    return done;
  }

  clear(): void {
    if (this.early.length > 0) this.early = [];
    if (this.unsent.length > 0) this.unsent = [];
    if (this.#rounds.length > 0) this.#rounds = [];
    this.#lastRound = 0;
    this.#waiting = 0;
  }
}

interface Batch {
  readonly context: number;
  readonly contexts: readonly number[];
  readonly sentAt: number;
}

/** A follower's reads: those of a moment ask the leader in one message. */
export class ForwardedReads {
  unsent: number[] = [];
  #batches: Batch[] = [];
  /** Begins at random: an answer to this member's life before a restart must match nothing. */
  #lastContext: number;
  #ticks = 0;
  #waiting = 0;

  constructor(start: number) {
    this.#lastContext = start;
  }

  get count(): number {
    return this.unsent.length + this.#waiting;
  }

  startBatch(): number {
    this.#lastContext++;
    const contexts = this.unsent;
    this.#batches.push({ context: this.#lastContext, contexts, sentAt: this.#ticks });
    this.#waiting += contexts.length;
    this.unsent = [];
    return this.#lastContext;
  }

  answered(context: number): readonly number[] {
    const batch = this.#batches.find((open) => open.context === context);
    if (batch === undefined) return [];
    this.#batches = this.#batches.filter((open) => open !== batch);
    this.#waiting -= batch.contexts.length;
    return batch.contexts;
  }

  /** Gives up what was not answered in so many ticks: the request or its answer is lost. */
  tick(patience: number): void {
    this.#ticks++;
    while (this.#batches.length > 0) {
      const oldest = this.#batches[0] as Batch;
      if (this.#ticks - oldest.sentAt < patience) return;
      this.#batches.shift();
      this.#waiting -= oldest.contexts.length;
    }
  }

  clear(): void {
    if (this.unsent.length > 0) this.unsent = [];
    if (this.#batches.length > 0) this.#batches = [];
    this.#waiting = 0;
  }
}
