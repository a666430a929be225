/** What the checkers of whole servers guard. The names stand in docs/RELIABILITY.md. */
export type ClusterChecker =
  | "linearizability"
  | "acknowledged writes"
  | "watches"
  | "revisions"
  | "state hashes"
  | "addresses"
  | "convergence"
  | "start"
  | "assertion";

/** The servers did what they must never do. */
export class ClusterViolation extends Error {
  override readonly name = "ClusterViolation";

  constructor(
    readonly checker: ClusterChecker,
    message: string,
  ) {
    super(`${checker}: ${message}`);
  }
}
