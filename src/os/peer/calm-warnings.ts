import type { Clock, LogFields, Logger } from "../../lib/index.ts";

const REPEAT_AFTER_MS = 60_000;
const MAX_REMEMBERED = 256;

/** Warns once a minute of what would otherwise be said at each attempt. */
export class CalmWarnings {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #said = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  warn(message: string, fields: LogFields): void {
    const key = `${message} ${JSON.stringify(fields)}`;
    const nowMs = this.#clock.monotonic();
    const before = this.#said.get(key);
    if (before !== undefined && nowMs - before < REPEAT_AFTER_MS) return;
    if (this.#said.size >= MAX_REMEMBERED) this.#said.clear();
    this.#said.set(key, nowMs);
    this.#logger.warn(message, fields);
  }
}
