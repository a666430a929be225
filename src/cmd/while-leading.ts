import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import type { Leadership, Term } from "../store/index.ts";

export interface WhileLeadingOptions {
  readonly store: {
    readonly leadership: Leadership;
    onLeadership(listener: () => void): () => void;
  };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the current term's work and everything after it. */
  readonly signal: AbortSignal;
  /**
   * Begins what only the leader does; called again when it rejects, as on a disk that is full. The
   * signal ends with the term, or with the server; what it still tries afterwards is refused by
   * its term.
   */
  readonly begin: (term: Term, signal: AbortSignal) => Promise<void>;
}

/** A leader without its work is worse than none: nobody else does it while the term lasts. */
export const BEGIN_AGAIN_MS = 1_000;

/** Calls `begin` for each term in which this server leads; from the current one on. */
export function whileLeading(options: WhileLeadingOptions): void {
  const { store, signal } = options;
  let current: { readonly term: Term; readonly ended: AbortController } | undefined;
  const end = (): void => {
    current?.ended.abort();
    current = undefined;
  };
  const follow = (): void => {
    const { self, term } = store.leadership;
    if (self && current?.term === term) return;
    end();
    if (!self || signal.aborted) return;
    const ended = new AbortController();
    current = { term, ended };
    void beginUntilDone(options, term, ended.signal);
  };
  const unsubscribe = store.onLeadership(follow);
  signal.addEventListener("abort", () => {
    unsubscribe();
    end();
  });
  follow();
}

async function beginUntilDone(
  { clock, logger, begin }: WhileLeadingOptions,
  term: Term,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    try {
      return await begin(term, ended);
    } catch (error) {
      // A term that ended meanwhile has refused what was under way; that is no failure.
      if (ended.aborted) return;
      logger.error("this server leads, but its work did not begin", { term, error: String(error) });
    }
    await sleep(clock, BEGIN_AGAIN_MS, ended);
  }
}
