import type { Clock } from "../lib/index.ts";
import type { LeaseId, Store } from "../store/index.ts";
import { resourcePrefix } from "./storage-key.ts";

/** How long an event is kept after it was last written, unless there are very many. */
export const EVENT_TTL_MS = 60 * 60 * 1000;
/** Events that may all be kept their hour. They are in memory: 20,000 take some 40 MB. */
export const PLENTY_OF_EVENTS = 20_000;
/** However many there are, a new one is kept this long. */
export const LEAST_EVENT_TTL_MS = 5 * 60 * 1000;
/** Events of so long a time share a lease, which costs the log one entry instead of one each. */
const SHARED_FOR_MS = 5 * 60 * 1000;
/** No more events share one, because they all go in one entry of the log. */
export const MAX_SHARING = 2000;

const EVENTS_PREFIX = resourcePrefix({ group: "", resource: "events" });

interface Granted {
  readonly lease: Promise<LeaseId>;
  readonly untilMs: number;
  left: number;
}

/**
 * The lease that new events hang on: they go with it, an hour (and up to five minutes) later.
 * Where pods come and go by the hundred thousand, new events go sooner.
 */
export class EventLease {
  readonly #store: Pick<Store, "count" | "grantLease">;
  readonly #clock: Clock;
  #granted: Granted | undefined;

  constructor(store: Pick<Store, "count" | "grantLease">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async current(): Promise<LeaseId> {
    const nowMs = this.#clock.monotonic();
    let granted = this.#granted;
    if (granted === undefined || nowMs >= granted.untilMs || granted.left <= 0) {
      const ttlMs = eventTtlMs(this.#store.count(EVENTS_PREFIX));
      const lease = this.#store.grantLease(ttlMs + SHARED_FOR_MS);
      granted = { lease, untilMs: nowMs + SHARED_FOR_MS, left: MAX_SHARING };
      this.#granted = granted;
    }
    granted.left--;
    try {
      return await granted.lease;
    } catch (error) {
      if (this.#granted === granted) this.#granted = undefined;
      throw error;
    }
  }

  /** The store no longer knows the lease: the next event asks for another one. */
  forget(): void {
    this.#granted = undefined;
  }
}

/** Twice as many events as are plenty are kept half as long. */
export function eventTtlMs(stored: number): number {
  const share = Math.min(1, PLENTY_OF_EVENTS / Math.max(1, stored));
  return Math.max(LEAST_EVENT_TTL_MS, Math.round(EVENT_TTL_MS * share));
}
