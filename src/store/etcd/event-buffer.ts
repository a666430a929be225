import type { Revision, StoreWatchEvent } from "../../mvcc/index.ts";

/** Bounds what watchers can be behind before they have to ask etcd for the past. */
const MAX_EVENTS = 20_000;
const MAX_BYTES = 64 * 1024 * 1024;
const EVENT_OVERHEAD_BYTES = 200;

/** The latest events, whose revisions never fall; several may have one revision. */
export class EventBuffer {
  /** All events behind this revision are here. */
  #forgotten: Revision;
  #events: StoreWatchEvent[] = [];
  /** Events before this position are forgotten. */
  #head = 0;
  #bytes = 0;

  constructor(from: Revision) {
    this.#forgotten = from;
  }

  get forgottenRevision(): Revision {
    return this.#forgotten;
  }

  push(event: StoreWatchEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    while (this.#events.length - this.#head > MAX_EVENTS || this.#bytes > MAX_BYTES) {
      this.#forgetFirst();
    }
    if (this.#head < this.#events.length / 2) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }

  /**
   * Up to `limit` events under a prefix behind a revision, those of one revision never apart; and
   * up to where everything was looked at.
   */
  read(
    prefix: string,
    after: Revision,
    limit: number,
  ): { readonly events: StoreWatchEvent[]; readonly upTo: Revision } {
    const events: StoreWatchEvent[] = [];
    let upTo = after;
    for (let at = this.#behind(after); at < this.#events.length; at++) {
      const event = this.#events[at];
      if (event === undefined) break;
      const { key, modRevision } = event.kv;
      if (events.length >= limit && modRevision !== upTo) break;
      upTo = modRevision;
      if (key.startsWith(prefix)) events.push(event);
    }
    return { events, upTo };
  }

  /** The event that a write of this key at this revision caused, if it is still known. */
  find(key: string, revision: Revision): StoreWatchEvent | undefined {
    for (let at = this.#behind((revision - 1) as Revision); at < this.#events.length; at++) {
      const event = this.#events[at];
      if (event === undefined || event.kv.modRevision > revision) return undefined;
      if (event.kv.key === key) return event;
    }
    return undefined;
  }

  #forgetFirst(): void {
    const event = this.#events[this.#head];
    if (event === undefined) return;
    this.#head += 1;
    this.#bytes -= sizeOf(event);
    this.#forgotten = event.kv.modRevision;
  }

  #behind(revision: Revision): number {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.kv.modRevision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sizeOf({ kv }: StoreWatchEvent): number {
  return kv.value.length + EVENT_OVERHEAD_BYTES;
}
