import { sleep } from "../lib/index.ts";
import type { Clock } from "../lib/index.ts";
import { isDiskFull } from "./disk.ts";

/** A disk without space is tried again after this. */
export const FULL_RETRY_MS = 2_000;

/**
 * Tries until there is space for the work, as often as it takes.
 * @throws the cause when the signal aborts; what the work throws for another reason than space
 */
export async function waitForSpace<Result>(
  cause: unknown,
  work: () => Promise<Result>,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    /** Called when there was no space again. */
    readonly stillFull: () => void;
  },
): Promise<Result> {
  const { clock, signal, stillFull } = options;
  let latest = cause;
  for (;;) {
    await sleep(clock, FULL_RETRY_MS, signal);
    if (signal.aborted) throw latest;
    try {
      return await work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      latest = error;
      stillFull();
    }
  }
}
