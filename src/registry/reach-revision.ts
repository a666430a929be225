import { type Clock, sleep } from "../lib/index.ts";
import type { Revision, Store } from "../store/index.ts";
import { tooLargeResourceVersion } from "./resource-version.ts";

/** How long a reader of a revision that is still to come is kept waiting: as in Kubernetes. */
export const REACH_WITHIN_MS = 3_000;

const LOOK_EVERY_MS = 50;

export interface ReachOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Ends the wait early, without an error. */
  readonly signal?: AbortSignal;
}

/** Waits until the store is at a revision; throws 504 when that takes too long. */
export async function reachRevision(wanted: Revision, options: ReachOptions): Promise<void> {
  const { store, clock, signal } = options;
  const deadlineMs = clock.monotonic() + REACH_WITHIN_MS;
  while (wanted > store.revision) {
    if (signal?.aborted === true) return;
    if (clock.monotonic() >= deadlineMs) throw tooLargeResourceVersion(wanted, store.revision);
    await sleep(clock, LOOK_EVERY_MS, signal);
  }
}
