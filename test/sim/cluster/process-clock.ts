import type { CancelTimer, Clock } from "../../../src/lib/index.ts";
import type { Timeline } from "./timeline.ts";

/**
 * Time as one process sees it: stops for good when it dies, stands still while it is paused, and
 * its wall clock may jump.
 */
export class ProcessClock implements Clock {
  readonly #timeline: Timeline;
  #alive = true;
  #paused = false;
  #wallOffsetMs = 0;
  readonly #missed: (() => void)[] = [];

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  now(): number {
    return this.#timeline.nowMs + this.#wallOffsetMs;
  }

  monotonic(): number {
    return this.#timeline.nowMs;
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    let cancelled = false;
    const fire = (): void => {
      if (cancelled || !this.#alive) return;
      if (this.#paused) this.#missed.push(fire);
      else callback();
    };
    const cancel = this.#timeline.after(delayMs, fire);
    return () => {
      cancelled = true;
      cancel();
    };
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  /** What fell due meanwhile happens now. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const fire of this.#missed.splice(0)) fire();
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** No timer of this process fires any more. */
  stop(): void {
    this.#alive = false;
    this.#missed.length = 0;
  }
}
