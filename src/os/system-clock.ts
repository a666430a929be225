import type { CancelTimer, Clock } from "../lib/index.ts";

/** The longest delay a timer of the runtime takes; later ones are armed again. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's clock and the runtime's timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, callback) => arm(Math.max(0, delayMs), callback),
};

function arm(delayMs: number, callback: () => void): CancelTimer {
  let cancelled = false;
  let cancelRest: CancelTimer | undefined;
  const partMs = Math.min(delayMs, MAX_TIMER_MS);
  const timer = setTimeout(() => {
    if (cancelled) return;
    if (partMs === delayMs) callback();
    else cancelRest = arm(delayMs - partMs, callback);
  }, partMs);
  return () => {
    cancelled = true;
    clearTimeout(timer);
    cancelRest?.();
  };
}
