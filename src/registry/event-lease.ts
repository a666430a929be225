import type { Clock } from "../lib/index.ts";
import type { LeaseId, Store } from "../store/index.ts";

/** How long an event is kept after it was last written. */
export const EVENT_TTL_MS = 60 * 60 * 1000;
/** Events of so long a time share a lease, which costs the log one entry instead of one each. */
const SHARED_FOR_MS = 5 * 60 * 1000;

interface Granted {
  readonly lease: Promise<LeaseId>;
  readonly untilMs: number;
}

/** The lease that new events hang on: they go with it, an hour (and up to five minutes) later. */
export class EventLease {
  readonly #store: Store;
  readonly #clock: Clock;
  #granted: Granted | undefined;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async current(): Promise<LeaseId> {
    const nowMs = this.#clock.monotonic();
    if (this.#granted === undefined || nowMs >= this.#granted.untilMs) {
      const lease = this.#store.grantLease(EVENT_TTL_MS + SHARED_FOR_MS);
      this.#granted = { lease, untilMs: nowMs + SHARED_FOR_MS };
    }
    const { lease } = this.#granted;
    try {
      return await lease;
    } catch (error) {
      if (this.#granted?.lease === lease) this.#granted = undefined;
      throw error;
    }
  }

  /** The store no longer knows the lease: the next event asks for another one. */
  forget(): void {
    this.#granted = undefined;
  }
}
