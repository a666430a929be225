import type { CancelTimer, Clock, Logger } from "../../lib/index.ts";
import { RuntimeError } from "../runtime.ts";
import type { WorkerProcess } from "./worker-process.ts";

export interface WarmPoolOptions {
  /**
   * Workers kept ready when little is started; 0 starts each on demand. Who finds none ready makes
   * it one more, up to {@link MAX_WARM_WORKERS}, and quiet makes it one less at a time.
   */
  readonly size: number;
  readonly launch: () => Promise<WorkerProcess>;
  /** Called when a worker is given up: its process is to end and its files to go. */
  readonly discard: (worker: WorkerProcess) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Taker {
  readonly resolve: (worker: WorkerProcess) => void;
  readonly reject: (error: unknown) => void;
}

/** Workers that start at the same time; more would only slow each other down. */
export const MAX_CONCURRENT_LAUNCHES = 2;
/** Workers kept ready after bursts: each holds 9 MB. */
export const MAX_WARM_WORKERS = 8;
/** Without a take for so long a worker that a burst asked for is given up. */
export const SHRINK_AFTER_MS = 60_000;
/** Containers that may wait for a worker. */
export const MAX_TAKERS = 1024;
/** A refill waits this long after a take, so that it does not slow the start it follows. */
export const REFILL_DELAY_MS = 25;
const MAX_FAILURE_DELAY_MS = 60_000;

/** Keeps a few workers started, because starting one costs more than everything else of a pod. */
export class WarmPool {
  readonly #options: WarmPoolOptions;
  readonly #ready: WorkerProcess[] = [];
  readonly #takers: Taker[] = [];
  #launching = 0;
  #failures = 0;
  #refill: CancelTimer | undefined;
  #shrink: CancelTimer | undefined;
  /** Workers to keep ready now. */
  #target: number;
  #open = false;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
    this.#target = options.size;
  }

  /** Workers that wait to be taken. */
  get ready(): number {
    return this.#ready.length;
  }

  /** Begins to fill the pool. */
  open(): void {
    this.#open = true;
    this.#scheduleRefill();
  }

  /** A ready worker at once, or the next one to start. Errors: `start-failed`, `exhausted`. */
  take(): Promise<WorkerProcess> {
    this.#scheduleShrink();
    for (let worker = this.#ready.shift(); worker !== undefined; worker = this.#ready.shift()) {
      if (worker.connection.isClosed) continue;
      this.#scheduleRefill();
      return Promise.resolve(worker);
    }
    if (this.#takers.length >= MAX_TAKERS) {
      const why = `${MAX_TAKERS} containers wait for a worker already`;
      return Promise.reject(new RuntimeError("exhausted", why));
    }
    if (this.#options.size > 0) this.#target = Math.min(this.#target + 1, this.#most);
    this.#scheduleShrink();
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
      this.#launchWanted();
    });
  }

  /** Ends every worker that nobody took; nothing is started from now on. */
  close(): void {
    this.#open = false;
    this.#refill?.();
    this.#refill = undefined;
    this.#shrink?.();
    for (const worker of this.#ready.splice(0)) this.#options.discard(worker);
    const error = new RuntimeError("start-failed", "the runtime shuts down");
    for (const taker of this.#takers.splice(0)) taker.reject(error);
  }

  get #most(): number {
    return Math.max(this.#options.size, MAX_WARM_WORKERS);
  }

  #scheduleShrink(): void {
    this.#shrink?.();
    this.#shrink = undefined;
    if (!this.#open || this.#target <= this.#options.size) return;
    this.#shrink = this.#options.clock.after(SHRINK_AFTER_MS, () => {
      this.#target--;
      const surplus = this.#ready.splice(Math.max(0, this.#target));
      for (const worker of surplus) this.#options.discard(worker);
      this.#scheduleShrink();
    });
  }

  #scheduleRefill(): void {
    if (!this.#open) return;
    this.#refill?.();
    const failureDelayMs = 1000 * 2 ** Math.min(this.#failures, 10);
    const delayMs =
      this.#failures === 0 ? REFILL_DELAY_MS : Math.min(failureDelayMs, MAX_FAILURE_DELAY_MS);
    this.#refill = this.#options.clock.after(delayMs, () => {
      this.#refill = undefined;
      this.#refillOne();
    });
  }

  /** One at a time: a refill leaves the machine to those who have work. */
  #refillOne(): void {
    const missing = this.#target - this.#ready.length - this.#launching;
    if (this.#open && missing > 0 && this.#launching === 0) this.#launch();
  }

  #launchWanted(): void {
    const wanted = Math.min(this.#takers.length, MAX_CONCURRENT_LAUNCHES);
    while (this.#launching < wanted) this.#launch();
  }

  #launch(): void {
    this.#launching++;
    void this.#options
      .launch()
      .then(
        (worker) => this.#arrived(worker),
        (error: unknown) => this.#failed(error),
      )
      .finally(() => {
        this.#launching--;
        if (this.#takers.length > 0) this.#launchWanted();
        else if (this.#failures === 0) this.#refillOne();
        else this.#scheduleRefill();
      });
  }

  #arrived(worker: WorkerProcess): void {
    this.#failures = 0;
    const taker = this.#takers.shift();
    if (taker !== undefined) return taker.resolve(worker);
    if (!this.#open || this.#ready.length >= this.#target) {
      return this.#options.discard(worker);
    }
    this.#ready.push(worker);
    void worker.connection.closed.then(() => this.#lost(worker));
  }

  #lost(worker: WorkerProcess): void {
    const index = this.#ready.indexOf(worker);
    if (index < 0) return;
    this.#ready.splice(index, 1);
    this.#options.discard(worker);
    this.#failures++;
    this.#options.logger.warn("a waiting worker ended", { worker: worker.id });
    this.#scheduleRefill();
  }

  #failed(error: unknown): void {
    this.#failures++;
    this.#options.logger.warn("a worker did not start", { error: String(error) });
    this.#takers.shift()?.reject(error);
  }
}
