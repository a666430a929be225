import { assert } from "../lib/index.ts";
import type { CancelTimer, Clock } from "../lib/index.ts";
import { StoreError } from "../mvcc/index.ts";
import type { LeaseId } from "../mvcc/index.ts";

interface RunningLease {
  readonly ttlMs: number;
  /** Absent while the expiry is being proposed. */
  cancel: CancelTimer | undefined;
}

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  /** Proposes the end of a lease; a rejection means the store has stopped. */
  readonly expire: (id: LeaseId) => Promise<void>;
}

/**
 * The leader's clock for leases. A lease never ends by this timer: the timer makes a proposal, and
 * the entry ends it on every replica. After a restart each lease has its whole time again.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #leases = new Map<LeaseId, RunningLease>();

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  start(id: LeaseId, ttlMs: number): void {
    assert(!this.#leases.has(id), `lease ${id} runs already`);
    this.#leases.set(id, { ttlMs, cancel: this.#arm(id, ttlMs) });
  }

  /** @throws StoreError lease-missing, also when its end is proposed already */
  renew(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (lease?.cancel === undefined) {
      throw new StoreError("lease-missing", `lease ${id} does not exist`);
    }
    lease.cancel();
    lease.cancel = this.#arm(id, lease.ttlMs);
  }

  stop(id: LeaseId): void {
    this.#leases.get(id)?.cancel?.();
    this.#leases.delete(id);
  }

  stopAll(): void {
    for (const id of this.#leases.keys()) this.stop(id);
  }

  #arm(id: LeaseId, ttlMs: number): CancelTimer {
    return this.#options.clock.after(ttlMs, () => {
      const lease = this.#leases.get(id);
      if (lease === undefined) return;
      lease.cancel = undefined;
      const forget = (): void => void this.#leases.delete(id);
      this.#options.expire(id).then(forget, forget);
    });
  }
}
