import { StoreError } from "../mvcc/index.ts";
import type { LogIndex, ReadState } from "../raft/index.ts";
import { DECISION_MS } from "./proposals.ts";

/** A question that got no answer for so long is asked again: it, or its answer, may be lost. */
const ASK_AGAIN_MS = 500;
/**
 * Reads that wait at once; more are refused as overloaded. An API server serves 600 requests and
 * forwards as many: whoever comes this far is a defect, or a flood past those limits.
 */
export const MAX_WAITING_READS = 65_536;
/**
 * Once somebody waited in vain, the next need not wait as long for what is not there: a client that
 * repeats its question ten times, as kubectl does, is to tell its user in time.
 */
export const HOPELESS_MS = 200;

interface Read {
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

interface Asked {
  readonly atMs: number;
  readonly reads: readonly Read[];
}

interface Confirmed {
  readonly index: LogIndex;
  readonly reads: readonly Read[];
}

/**
 * Linearizable reads that wait. All that come in one turn of the event loop, or while a question is
 * being made ready, ask together: one context in the core stands for any number of callers.
 */
export class ReadBarrier {
  #fresh: Read[] = [];
  readonly #asked = new Map<number, Asked>();
  #confirmed: Confirmed[] = [];
  readonly #maxWaiting: number;
  #context: number;
  /** Reads that are neither let go nor refused. */
  #count = 0;
  /** Whether a read was given up and none was confirmed since. */
  #hopeless = false;

  /** @param firstContext random: an answer to an earlier life of this process must not fit */
  constructor(firstContext: number, options: { readonly maxWaiting?: number } = {}) {
    this.#context = firstContext;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING_READS;
  }

  /** Whether somebody waits whose question was not asked. */
  get unasked(): boolean {
    return this.#fresh.length > 0;
  }

  get waiting(): boolean {
    return this.unasked || this.#asked.size > 0 || this.#confirmed.length > 0;
  }

  /** @throws StoreError overloaded; unavailable when nobody confirms in time */
  add(nowMs: number): Promise<void> {
    if (this.#count >= this.#maxWaiting) {
      const why = `the store is overloaded: ${this.#count} reads wait to be confirmed`;
      return Promise.reject(new StoreError("overloaded", why));
    }
    this.#count++;
    return new Promise((resolve, reject) => {
      const patienceMs = this.#hopeless ? HOPELESS_MS : DECISION_MS;
      this.#fresh.push({ deadlineMs: nowMs + patienceMs, resolve, reject });
    });
  }

  /** Gives the context under which all that is unasked is to be asked now. */
  ask(nowMs: number): number {
    const context = ++this.#context;
    this.#asked.set(context, { atMs: nowMs, reads: this.#fresh });
    this.#fresh = [];
    return context;
  }

  answer(states: readonly ReadState[]): void {
    for (const { context, index } of states) {
      const asked = this.#asked.get(context);
      if (asked === undefined) continue;
      this.#asked.delete(context);
      this.#hopeless = false;
      this.#confirmed.push({ index, reads: asked.reads });
    }
  }

  /** Lets go whoever waits for an index up to this one. */
  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    const left: Confirmed[] = [];
    for (const confirmed of this.#confirmed) {
      if (confirmed.index > index) {
        left.push(confirmed);
        continue;
      }
      this.#count -= confirmed.reads.length;
      for (const read of confirmed.reads) read.resolve();
    }
    this.#confirmed = left;
  }

  /** The leader changed: what was asked of the last one is asked again. */
  askAnew(): void {
    this.#hopeless = false;
    for (const [context, asked] of this.#asked) this.#unask(context, asked);
  }

  /** Repeats old questions, and gives up on the oldest callers. */
  sweep(nowMs: number): void {
    for (const [context, asked] of this.#asked) {
      if (nowMs - asked.atMs >= ASK_AGAIN_MS) this.#unask(context, asked);
    }
    const inTime = (read: Read): boolean => {
      const late = read.deadlineMs <= nowMs;
      if (!late) return true;
      this.#count--;
      read.reject(unconfirmedError());
      this.#hopeless = true;
      return false;
    };
    this.#fresh = this.#fresh.filter(inTime);
    this.#confirmed = this.#confirmed.map(({ index, reads }) => ({
      index,
      reads: reads.filter(inTime),
    }));
  }

  rejectAll(error: StoreError): void {
    this.askAnew();
    const reads = [...this.#fresh, ...this.#confirmed.flatMap((confirmed) => confirmed.reads)];
    this.#fresh = [];
    this.#confirmed = [];
    this.#count = 0;
    for (const read of reads) read.reject(error);
  }

  #unask(context: number, asked: Asked): void {
    this.#asked.delete(context);
    this.#fresh.push(...asked.reads);
  }
}

function unconfirmedError(): StoreError {
  const why = "no leader confirms that this server is up to date";
  return new StoreError("unavailable", why);
}
