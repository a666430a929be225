/** Thrown when the program's own invariant is broken: a bug, never a reaction to input. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stops with an {@link AssertionError} unless the invariant holds. Stays on in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks the branch of an exhaustive switch that the types rule out. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${JSON.stringify(value)}`);
}
