/** What the user can mend: shown as one line without a stack, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What went wrong although the command was right: shown as one line, exit status 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
