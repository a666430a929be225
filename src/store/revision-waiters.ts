import type { CancelTimer, Clock } from "../lib/index.ts";
import { StoreError } from "../mvcc/index.ts";
import type { Revision } from "../mvcc/index.ts";
import { closedError } from "./driver-mode.ts";
import { DECISION_MS } from "./proposals.ts";

interface Waiter {
  readonly revision: Revision;
  readonly cancel: CancelTimer;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** Callers that know of a revision which is on its way here. */
export class RevisionWaiters {
  readonly #clock: Clock;
  readonly #present: () => Revision;
  readonly #waiters = new Set<Waiter>();

  constructor(clock: Clock, present: () => Revision) {
    this.#clock = clock;
    this.#present = present;
  }

  /** Resolves when the revision is applied here. @throws StoreError unavailable, closed */
  reached(revision: Revision): Promise<void> {
    if (this.#present() >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(DECISION_MS, () => {
        this.#waiters.delete(waiter);
        const behind = `this server has revision ${this.#present()}`;
        const message = `revision ${revision} did not come within ${DECISION_MS} ms: ${behind}`;
        reject(new StoreError("unavailable", message));
      });
      const waiter: Waiter = { revision, cancel, resolve, reject };
      this.#waiters.add(waiter);
    });
  }

  applied(): void {
    if (this.#waiters.size === 0) return;
    const present = this.#present();
    for (const waiter of this.#waiters) {
      if (waiter.revision > present) continue;
      this.#waiters.delete(waiter);
      waiter.cancel();
      waiter.resolve();
    }
  }

  close(): void {
    for (const waiter of this.#waiters) {
      waiter.cancel();
      waiter.reject(closedError());
    }
    this.#waiters.clear();
  }
}
