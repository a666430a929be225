import { RE2JS, RE2JSSyntaxException } from "re2js";

/** A text that is no regular expression of Go's; the message is Go's. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/**
 * A regular expression as Go has them, which takes time in proportion to the text: patterns come
 * from users, and JavaScript's own can be made to run for hours.
 */
export class LinearPattern {
  readonly source: string;
  readonly #compiled: RE2JS;

  /** Throws {@link PatternError}. */
  constructor(source: string) {
    this.source = source;
    try {
      this.#compiled = RE2JS.compile(source);
    } catch (error) {
      if (!(error instanceof RE2JSSyntaxException)) throw error;
      throw new PatternError(error.message, { cause: error });
    }
  }

  /** Whether the pattern occurs anywhere in the text. */
  test(text: string): boolean {
    return this.#compiled.matcher(text).find();
  }

  /** The occurrences, from left to right, at most so many. */
  find(text: string, limit: number): string[] {
    const matcher = this.#compiled.matcher(text);
    const found: string[] = [];
    while (found.length < limit && matcher.find()) found.push(matcher.group() ?? "");
    return found;
  }
}
