/** What the checkers guard. The names stand in docs/RELIABILITY.md. */
export type Checker =
  | "election safety"
  | "leader append-only"
  | "log matching"
  | "leader completeness"
  | "state machine safety"
  | "commit by quorum"
  | "commit of own term"
  | "durable before told"
  | "one vote a term"
  | "elected by quorum"
  | "pre-vote first"
  | "log never lost"
  | "read index"
  | "configuration"
  | "convergence"
  | "assertion";

/** The system did what it must never do. */
export class Violation extends Error {
  override readonly name = "Violation";

  constructor(
    readonly checker: Checker,
    message: string,
  ) {
    super(`${checker}: ${message}`);
  }
}

/** Only builds its message when it fails: checks run millions of times. */
export function check(holds: boolean, checker: Checker, message: () => string): asserts holds {
  if (!holds) throw new Violation(checker, message());
}
