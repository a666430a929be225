import type { CancelTimer, Clock, Logger } from "../lib/index.ts";

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Delay after the first failure of a key; it doubles from there. Default 5 ms. */
  readonly baseDelayMs?: number;
  /** Default 1,000 s. */
  readonly maxDelayMs?: number;
  /** Keys that may wait at once. Default {@link MAX_QUEUED_KEYS}. */
  readonly maxKeys?: number;
  /**
   * Called once when the queue has run empty after it had to refuse keys: the owner adds every key
   * of its lister again, so that a full queue delays work but never loses it.
   */
  readonly onRecovered?: () => void;
}

export const MAX_QUEUED_KEYS = 100_000;
const BASE_DELAY_MS = 5;
const MAX_DELAY_MS = 1_000_000;

/**
 * Keys waiting for a worker. A key waits at most once, and is never with two workers: one that is
 * added while being worked on comes again afterwards. Level-based: a key says "look at this
 * object", never what happened to it.
 */
export class WorkQueue<K = string> {
  readonly #options: WorkQueueOptions;
  readonly #maxKeys: number;
  readonly #waiting = new Set<K>();
  readonly #processing = new Set<K>();
  /** Added while processing: comes back when it is done. */
  readonly #dirty = new Set<K>();
  readonly #delayed = new Map<K, { readonly dueMs: number; readonly cancel: CancelTimer }>();
  readonly #failures = new Map<K, number>();
  /** Keys that are not to be looked at yet; true: somebody asked for it meanwhile. */
  readonly #resting = new Map<K, { asked: boolean; readonly cancel: CancelTimer }>();
  readonly #takers: ((key: K | undefined) => void)[] = [];
  #refused = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#maxKeys = options.maxKeys ?? MAX_QUEUED_KEYS;
  }

  /** Keys waiting, delayed ones not counted. */
  get length(): number {
    return this.#waiting.size;
  }

  /** False when the queue is full: see {@link WorkQueueOptions.onRecovered}. */
  add(key: K): boolean {
    if (this.#processing.has(key)) {
      this.#dirty.add(key);
      return true;
    }
    const rest = this.#resting.get(key);
    if (rest !== undefined) {
      rest.asked = true;
      return true;
    }
    if (this.#waiting.has(key)) return true;
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      this.#processing.add(key);
      taker(key);
      return true;
    }
    if (this.#waiting.size >= this.#maxKeys) {
      this.#refused = true;
      return false;
    }
    this.#waiting.add(key);
    return true;
  }

  /** Adds after a delay; of several delays of one key the earliest counts. */
  addAfter(key: K, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#options.clock.monotonic() + delayMs;
    const known = this.#delayed.get(key);
    if (known !== undefined && known.dueMs <= dueMs) return;
    if (known === undefined && this.#delayed.size >= this.#maxKeys) {
      this.#refused = true;
      return;
    }
    known?.cancel();
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueMs, cancel });
  }

  /**
   * The key does not come again before this time has passed, whatever adds it: what happens
   * meanwhile is taken in by one look instead of many.
   */
  rest(key: K, restMs: number): void {
    if (restMs <= 0 || this.#resting.has(key) || this.#resting.size >= this.#maxKeys) return;
    const cancel = this.#options.clock.after(restMs, () => {
      const asked = this.#resting.get(key)?.asked === true;
      this.#resting.delete(key);
      if (asked) this.add(key);
    });
    this.#resting.set(key, { asked: false, cancel });
  }

  /** Adds after the back-off of this key, which doubles with each call until {@link forget}. */
  addRateLimited(key: K): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const { baseDelayMs = BASE_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = this.#options;
    this.addAfter(key, Math.min(baseDelayMs * 2 ** failures, maxDelayMs));
  }

  /** The key succeeded: its back-off starts over. */
  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** Failures in a row. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, which is the caller's until {@link done}; undefined once the signal aborts. */
  take(signal: AbortSignal): Promise<K | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    for (const key of this.#waiting) {
      this.#waiting.delete(key);
      this.#processing.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => {
      const taker = (key: K | undefined): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(key);
      };
      const onAbort = (): void => {
        const index = this.#takers.indexOf(taker);
        if (index >= 0) this.#takers.splice(index, 1);
        resolve(undefined);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#takers.push(taker);
    });
  }

  /** Gives a taken key back. */
  done(key: K): void {
    this.#processing.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
    if (this.#refused && this.#waiting.size === 0) {
      this.#refused = false;
      this.#options.onRecovered?.();
    }
  }

  /** Drops the timers of delayed and resting keys. */
  close(): void {
    for (const { cancel } of [...this.#delayed.values(), ...this.#resting.values()]) cancel();
    this.#delayed.clear();
    this.#resting.clear();
  }
}

export interface WorkersOptions {
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** What a reconciliation may ask for; failing is throwing. */
export interface ReconcileResult {
  /** Look at this key again after this long, although nothing failed. */
  readonly requeueAfterMs?: number;
  /** Do not look at this key again before that, whatever happens to it. */
  readonly restMs?: number;
}

/**
 * Works on keys until the signal aborts. A reconciliation that throws is logged and comes again
 * after its back-off; one bad object never stops the others.
 */
export async function runWorkers<K>(
  queue: WorkQueue<K>,
  options: WorkersOptions,
  reconcile: (key: K) => Promise<ReconcileResult | void>,
): Promise<void> {
  const { signal, logger } = options;
  const work = async (): Promise<void> => {
    for (let key = await queue.take(signal); key !== undefined; key = await queue.take(signal)) {
      try {
        const result = await reconcile(key);
        queue.forget(key);
        queue.rest(key, result?.restMs ?? 0);
        if (result?.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs);
      } catch (error) {
        queue.addRateLimited(key);
        if (!signal.aborted) report(logger, key, error, queue.failures(key));
      } finally {
        queue.done(key);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  queue.close();
}

/** A first conflict with another writer is everyday life; what keeps failing is worth reading. */
function report(logger: Logger, key: unknown, error: unknown, failures: number): void {
  const fields = { key, failures, error: error instanceof Error ? error.message : error };
  if (failures < 3) logger.debug("reconciliation failed, coming again", fields);
  else logger.warn("reconciliation keeps failing", fields);
}
