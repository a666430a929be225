import { assert } from "../lib/index.ts";
import type { Revision, StoreWatchEvent } from "./model.ts";

export interface EventWindowLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

export const EVENT_WINDOW_LIMITS: EventWindowLimits = {
  maxEvents: 16_384,
  maxBytes: 24 * 1024 * 1024,
};

/** Key, revisions and object headers of an event, roughly. */
const EVENT_OVERHEAD_BYTES = 256;

/**
 * The last changes, in memory. Revisions in it follow each other without a gap, so that the event
 * of a revision is found by subtraction. Watchers read it by their own cursor: one that is slow
 * costs nothing, and finds out when what it needs is gone.
 */
export class EventWindow {
  readonly #limits: EventWindowLimits;
  #events: StoreWatchEvent[] = [];
  /** Events before this position are dropped; they are cut off in bulk. */
  #head = 0;
  #first: Revision;
  #bytes = 0;

  /** @param revision the last one that is *not* in the window */
  constructor(revision: Revision, limits = EVENT_WINDOW_LIMITS) {
    this.#first = (revision + 1) as Revision;
    this.#limits = limits;
  }

  /** The oldest revision in here; one behind the present when the window is empty. */
  get firstRevision(): Revision {
    return this.#first;
  }

  get lastRevision(): Revision {
    return (this.#first + this.#events.length - this.#head - 1) as Revision;
  }

  push(event: StoreWatchEvent): void {
    const expected = this.lastRevision + 1;
    assert(event.kv.modRevision === expected, `event ${event.kv.modRevision} after ${expected}`);
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    while (
      this.#events.length - this.#head > this.#limits.maxEvents ||
      this.#bytes > this.#limits.maxBytes
    ) {
      this.#drop();
    }
  }

  /** Drops what is not behind a revision, before the limits demand it. */
  forget(revision: Revision): void {
    const last = Math.min(revision, this.lastRevision);
    while (this.#first <= last) this.#drop();
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }

  /** The event of a revision; undefined when it is dropped, or not there yet. */
  at(revision: Revision): StoreWatchEvent | undefined {
    if (revision < this.#first) return undefined;
    return this.#events[this.#head + revision - this.#first];
  }

  #drop(): void {
    const event = this.#events[this.#head];
    assert(event !== undefined, "the window drops only what it holds");
    this.#bytes -= sizeOf(event);
    this.#head += 1;
    this.#first = (this.#first + 1) as Revision;
    const cut = this.#head > this.#events.length / 2;
    if (!cut) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }
}

function sizeOf(event: StoreWatchEvent): number {
  return event.kv.value.length + EVENT_OVERHEAD_BYTES;
}
