/** A container may say so much in a moment, in seconds of its rate. */
export const LOG_BURST_SECONDS = 10;
/** Once something is dropped everything is, for so long: one notice a second, not one a line. */
export const LOG_PAUSE_MS = 1000;

/**
 * How fast a container's log may grow. What comes beyond is dropped and counted, as journald does:
 * a guest that waited for its log would be slow for a reason that nobody sees, and without either a
 * loop that prints would wear out the disk although files are rotated.
 */
export class LogRate {
  readonly #bytesPerSecond: number;
  #balance: number;
  #atMs: number;
  #pausedUntilMs = 0;
  #dropped = 0;
  #droppedInAll = 0;

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#balance = bytesPerSecond * LOG_BURST_SECONDS;
    this.#atMs = nowMs;
  }

  /** Whether a line of so many bytes is written; otherwise it counts as dropped. */
  admits(bytes: number, nowMs: number): boolean {
    this.#earn(nowMs);
    if (nowMs >= this.#pausedUntilMs && bytes <= this.#balance) {
      this.#balance -= bytes;
      return true;
    }
    if (nowMs >= this.#pausedUntilMs) this.#pausedUntilMs = nowMs + LOG_PAUSE_MS;
    this.#dropped += bytes;
    this.#droppedInAll += bytes;
    return false;
  }

  /** Bytes dropped since the last time this was asked, when it is time to tell. */
  takeNotice(nowMs: number): number {
    if (nowMs < this.#pausedUntilMs) return 0;
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  get droppedInAll(): number {
    return this.#droppedInAll;
  }

  #earn(nowMs: number): void {
    const earned = ((nowMs - this.#atMs) * this.#bytesPerSecond) / 1000;
    const most = this.#bytesPerSecond * LOG_BURST_SECONDS;
    this.#balance = Math.min(this.#balance + Math.max(earned, 0), most);
    this.#atMs = nowMs;
  }
}
