import type { Logger } from "../lib/index.ts";
import type { Leadership, Term } from "../store/index.ts";

export interface WhileLeadingOptions {
  readonly store: {
    readonly leadership: Leadership;
    onLeadership(listener: () => void): () => void;
  };
  readonly logger: Logger;
  /** Ends the current term's work and everything after it. */
  readonly signal: AbortSignal;
  /**
   * Begins what only the leader does. The signal ends with the term, or with the server; what it
   * still tries afterwards is refused by its term.
   */
  readonly begin: (term: Term, signal: AbortSignal) => Promise<void>;
}

/** Calls `begin` once for each term in which this server leads; from the current one on. */
export function whileLeading(options: WhileLeadingOptions): void {
  const { store, logger, signal, begin } = options;
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
    begin(term, ended.signal).catch((error: unknown) => {
      // A term that ended meanwhile has refused what was under way; that is no failure.
      if (ended.signal.aborted) return;
      logger.error("this server leads, but its work did not begin", { term, error: String(error) });
    });
  };
  const unsubscribe = store.onLeadership(follow);
  signal.addEventListener("abort", () => {
    unsubscribe();
    end();
  });
  follow();
}
