/** Something that happens at a moment of virtual time. */
interface Moment {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
  cancelled: boolean;
}

/**
 * Virtual time of the whole simulation. Moments happen in order, ties in the order in which they
 * were planned; between two of them every promise that can settle does.
 */
export class Timeline {
  nowMs: number;
  #order = 0;
  readonly #heap: Moment[] = [];

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  /** Plans a moment; returns the way to call it off. */
  after(delayMs: number, happen: () => void): () => void {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const moment: Moment = { atMs, order: this.#order++, happen, cancelled: false };
    this.#push(moment);
    return () => {
      moment.cancelled = true;
    };
  }

  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Lets time pass up to this moment. */
  async runUntil(untilMs: number): Promise<void> {
    await settle();
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs;) {
      this.#pop();
      if (!next.cancelled) {
        this.nowMs = Math.max(this.nowMs, next.atMs);
        next.happen();
        await settle();
      }
      next = this.#heap[0];
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(moment: Moment): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(moment);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Moment;
      if (!isBefore(moment, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = moment;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Moment)) child += 1;
      const below = heap[child] as Moment;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Moment, b: Moment): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** A turn of the event loop begins when no microtask is left. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
