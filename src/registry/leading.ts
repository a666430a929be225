import { type StatusError, serviceUnavailable } from "../apimachinery/index.ts";
import type { Term } from "../store/index.ts";
import { LeaderState, type LeaderStateOptions } from "./leader-state.ts";

const RETRY_AFTER_SECONDS = 1;

/** Gives the state of the present leader, made anew at the first need of each term. */
export class Leading {
  readonly #options: LeaderStateOptions;
  #state: LeaderState | undefined;

  constructor(options: LeaderStateOptions) {
    this.#options = options;
  }

  /** The term that a request belongs to which begins now. */
  get term(): Term {
    return this.#options.store.leadership.term;
  }

  /** The state of the term that is now, if this server leads and the term is not over. */
  get current(): LeaderState | undefined {
    const { self, term } = this.#options.store.leadership;
    if (!self) return undefined;
    if (this.#state?.term !== term) this.#state = new LeaderState(term, this.#options);
    return this.#state;
  }

  /** @throws StatusError 503 unless this server leads in that term; in the present if absent. */
  in(term: Term = this.term): LeaderState {
    const state = this.current;
    if (state === undefined || state.term !== term) throw notLeading();
    return state;
  }

  forget(): void {
    this.#state = undefined;
  }
}

/** The answer to a write that this server may not make, or not any more. Nothing was written. */
export function notLeading(): StatusError {
  const error = serviceUnavailable("this server does not lead the cluster now, please try again");
  error.status.details = { ...error.status.details, retryAfterSeconds: RETRY_AFTER_SECONDS };
  return error;
}
