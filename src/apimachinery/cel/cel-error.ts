/** What is wrong with an expression, or with what it was given; the message is one line. */
export class CelError extends Error {
  override readonly name = "CelError";
}

/** An expression that would take too long, or too much memory. */
export class CelBudgetError extends CelError {}

/** The first line of an evaluator's message: the others draw the expression. */
export function celErrorOf(error: unknown): CelError {
  if (error instanceof CelError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CelError((message.split("\n")[0] ?? "").trim(), { cause: error });
}
