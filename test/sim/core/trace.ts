/** How many of the last events are kept unless more are asked for. */
export const SHOWN_EVENTS = 120;

/**
 * What happened, in order: as one number that differs when any event differs, and, when a seed is
 * replayed for a reader, as lines.
 */
export class Trace {
  hash = 0;
  #shown = 0;
  #lines: string[] = [];

  /** @param recording how many of the last events to keep as lines */
  reset(recording: number): void {
    this.hash = 0x811c9dc5 | 0;
    this.#shown = recording;
    this.#lines = [];
  }

  get recording(): boolean {
    return this.#shown > 0;
  }

  /** Mixes numbers into the hash (FNV-1a, a word at a time). */
  mix(a: number, b: number, c: number): void {
    let hash = Math.imul(this.hash ^ a, 0x01000193);
    hash = Math.imul(hash ^ b, 0x01000193);
    this.hash = Math.imul(hash ^ c, 0x01000193) ^ (hash >>> 15);
  }

  /** Only called while recording. */
  line(text: string): void {
    this.#lines.push(text);
    if (this.#lines.length > 4 * this.#shown) this.#lines = this.#lines.slice(-this.#shown);
  }

  lastLines(): readonly string[] {
    return this.#shown === 0 ? [] : this.#lines.slice(-this.#shown);
  }
}
