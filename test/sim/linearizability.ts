/** One operation of a client, as seen from outside. */
export interface Operation<Call> {
  readonly call: Call;
  /** When it was asked, and when its answer came; answers that never came have Infinity. */
  readonly start: number;
  readonly end: number;
}

/** What the object under test is meant to do, one operation at a time. */
export interface SequentialModel<State, Call> {
  readonly initial: State;
  /**
   * The states after the call, given that it was answered as it was: none when the answer cannot
   * be, several when the answer is unknown (it happened, or did not).
   */
  apply(state: State, call: Call): readonly State[];
  /** Equal texts for equal states. */
  keyOf(state: State): string;
}

export type Verdict<Call> =
  | { readonly type: "linearizable" }
  /** The longest order that was found, and the operations that fit nowhere behind it. */
  | {
      readonly type: "violation";
      readonly order: readonly Operation<Call>[];
      readonly stuck: readonly Operation<Call>[];
    }
  | { readonly type: "too-long" };

/** Nodes of the search after which it gives up; far above what any simulated history needs. */
const MAX_NODES = 2_000_000;

/**
 * Whether some order of the operations, each within its own time, is one that the model allows
 * (Herlihy and Wing 1990). The search is Wing and Gong's (1993): always one of the operations
 * that began before every other ended; with Lowe's memory (2017): a set of done operations with
 * the same state is never tried twice.
 */
export function checkLinearizable<State, Call>(
  history: readonly Operation<Call>[],
  model: SequentialModel<State, Call>,
): Verdict<Call> {
  const operations = [...history].sort((a, b) => a.start - b.start);
  const search = new Search(operations, model);
  return search.run();
}

class Search<State, Call> {
  readonly #operations: readonly Operation<Call>[];
  readonly #model: SequentialModel<State, Call>;
  readonly #done: boolean[];
  readonly #tried = new Set<string>();
  readonly #order: Operation<Call>[] = [];
  #longest: readonly Operation<Call>[] = [];
  #nodes = 0;

  constructor(operations: readonly Operation<Call>[], model: SequentialModel<State, Call>) {
    this.#operations = operations;
    this.#model = model;
    this.#done = operations.map(() => false);
  }

  run(): Verdict<Call> {
    if (this.#extend(this.#model.initial)) return { type: "linearizable" };
    if (this.#nodes >= MAX_NODES) return { type: "too-long" };
    const placed = new Set(this.#longest);
    const stuck = this.#operations.filter((operation) => !placed.has(operation));
    return { type: "violation", order: this.#longest, stuck };
  }

  #extend(state: State): boolean {
    this.#nodes += 1;
    if (this.#nodes >= MAX_NODES) return false;
    if (this.#order.length > this.#longest.length) this.#longest = [...this.#order];
    const { candidates, answered } = this.#candidates();
    // What was never answered need not have happened.
    if (!answered) return true;
    const memory = `${this.#memoryOfDone()} ${this.#model.keyOf(state)}`;
    if (this.#tried.has(memory)) return false;
    this.#tried.add(memory);
    for (const at of candidates) {
      const operation = this.#operations[at] as Operation<Call>;
      this.#done[at] = true;
      this.#order.push(operation);
      for (const next of this.#model.apply(state, operation.call)) {
        if (this.#extend(next)) return true;
      }
      this.#order.pop();
      this.#done[at] = false;
    }
    return false;
  }

  /** Those that may be next: they began before any other that is not done had ended. */
  #candidates(): { readonly candidates: readonly number[]; readonly answered: boolean } {
    const candidates: number[] = [];
    let firstEnd = Infinity;
    for (let at = 0; at < this.#operations.length; at++) {
      if (this.#done[at] === true) continue;
      const { start, end } = this.#operations[at] as Operation<Call>;
      if (start > firstEnd) break;
      candidates.push(at);
      if (end < firstEnd) firstEnd = end;
    }
    return { candidates, answered: firstEnd < Infinity };
  }

  /** The done operations as text: how many from the beginning, and which behind those. */
  #memoryOfDone(): string {
    const prefix = this.#done.indexOf(false);
    const behind: number[] = [];
    for (let at = prefix + 1; at < this.#done.length; at++) {
      if (this.#done[at] === true) behind.push(at);
    }
    return `${prefix}:${behind.join(",")}`;
  }
}
