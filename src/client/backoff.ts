import type { Random } from "../lib/index.ts";

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Spreads each delay over [delay, delay × 2) so that many clients do not return at once. */
  readonly random?: Random | undefined;
}

/** Exponential back-off: each {@link Backoff.next} doubles, {@link Backoff.reset} starts over. */
export class Backoff {
  readonly #options: BackoffOptions;
  #delayMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#delayMs = options.initialMs;
  }

  next(): number {
    const { maxMs, random } = this.#options;
    const delayMs = Math.min(this.#delayMs, maxMs);
    this.#delayMs = Math.min(delayMs * 2, maxMs);
    return random === undefined ? delayMs : delayMs * (1 + random.float());
  }

  reset(): void {
    this.#delayMs = this.#options.initialMs;
  }
}
