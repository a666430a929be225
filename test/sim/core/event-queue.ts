import { assert } from "../../../src/lib/index.ts";

/** No event is further away than this, in steps. */
export const MAX_DELAY = 1_023;
const RING = MAX_DELAY + 1;
const CAPACITY = 1 << 16;
const NONE = -1;

/**
 * Events by their step: a ring of lists, first in first out within a step. Nothing is allocated
 * while it runs; after `take` the event is in `kind`, `member`, `detail` and `subject`.
 */
export class EventQueue<T> {
  step = 0;
  kind = 0;
  member = 0;
  detail = 0;
  subject: T | undefined;
  readonly #heads = new Int32Array(RING).fill(NONE);
  readonly #tails = new Int32Array(RING).fill(NONE);
  readonly #next = new Int32Array(CAPACITY);
  readonly #kinds = new Uint8Array(CAPACITY);
  readonly #members = new Uint8Array(CAPACITY);
  readonly #details = new Int32Array(CAPACITY);
  readonly #subjects: (T | undefined)[] = Array.from({ length: CAPACITY });
  #free = NONE;
  #used = 0;

  clear(): void {
    this.#heads.fill(NONE);
    this.#tails.fill(NONE);
    this.#subjects.fill(undefined, 0, this.#used);
    this.#free = NONE;
    this.#used = 0;
    this.step = 0;
    this.subject = undefined;
  }

  schedule(delay: number, kind: number, member: number, detail: number, subject?: T): void {
    let node = this.#free;
    if (node === NONE) {
      assert(this.#used < CAPACITY, `at most ${CAPACITY} events wait`);
      node = this.#used++;
    } else {
      this.#free = this.#next[node] as number;
    }
    this.#kinds[node] = kind;
    this.#members[node] = member;
    this.#details[node] = detail;
    this.#subjects[node] = subject;
    this.#next[node] = NONE;
    const slot = (this.step + (delay < MAX_DELAY ? delay : MAX_DELAY)) % RING;
    const tail = this.#tails[slot] as number;
    if (tail === NONE) this.#heads[slot] = node;
    else this.#next[tail] = node;
    this.#tails[slot] = node;
  }

  /** Takes the next event of the current step; false when there is none left. */
  take(): boolean {
    const slot = this.step % RING;
    const node = this.#heads[slot] as number;
    if (node === NONE) return false;
    const next = this.#next[node] as number;
    this.#heads[slot] = next;
    if (next === NONE) this.#tails[slot] = NONE;
    this.kind = this.#kinds[node] as number;
    this.member = this.#members[node] as number;
    this.detail = this.#details[node] as number;
    this.subject = this.#subjects[node];
    this.#subjects[node] = undefined;
    this.#next[node] = this.#free;
    this.#free = node;
    return true;
  }
}
