/** Ends a pending timer; calling it twice, or after the timer fired, does nothing. */
export type CancelTimer = () => void;

/**
 * Time as the rooms see it. The real one lives in os/; tests and the simulation hand in a
 * {@link ManualClock}, so that no room reads a clock nobody controls.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. Use it for durations. */
  monotonic(): number;
  /** Calls back once after `delayMs` (≥ 0). */
  after(delayMs: number, callback: () => void): CancelTimer;
}

/** Resolves after `delayMs`, or at once when the signal aborts: callers look at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    function onAbort(): void {
      cancel();
      resolve();
    }
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
