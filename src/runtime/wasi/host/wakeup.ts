import type { HostClock } from "./host-clock.ts";

/** Something the guest can wait for: a listening socket or a connection. */
export interface Waitable {
  /** Set while the guest's pending wait names it. Only {@link Wakeup} writes this. */
  watched: "no" | "read" | "write" | "both";
}

export interface WaitInterest {
  readonly source: Waitable;
  readonly side: "read" | "write";
}

/** Who is told when the guest's stack goes on, and when it waits. */
export interface GuestTurn {
  enter(): void;
  leave(): void;
  /** It has computed for so long that its neighbours are to have their turn. */
  readonly overdue: boolean;
}

/** Calls without a look at the event loop after which a guest that never waits must let it run. */
export const MAX_SPINS = 64;

/**
 * The one wait of a guest: it has one stack, so at most one call is suspended. A wake-up resumes it
 * on the next turn of the event loop, so that all sockets of one round are ready by then.
 */
export class Wakeup {
  readonly #clock: HostClock;
  readonly #turn: GuestTurn | undefined;
  #resume: (() => void) | undefined;
  #resuming = false;
  #watched: readonly WaitInterest[] = [];
  #spins = 0;
  #reject: ((reason: Error) => void) | undefined;
  #aborted: Error | undefined;

  constructor(clock: HostClock, turn?: GuestTurn) {
    this.#clock = clock;
    this.#turn = turn;
  }

  /** Resolves when one of the sources is notified or `timeoutMs` passed. */
  wait(interests: readonly WaitInterest[], timeoutMs?: number): Promise<void> {
    if (this.#aborted !== undefined) return Promise.reject(this.#aborted);
    this.#spins = 0;
    for (const { source, side } of interests) {
      source.watched = source.watched === "no" || source.watched === side ? side : "both";
    }
    this.#watched = interests;
    this.#turn?.leave();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      const cancel =
        timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, () => this.#finish());
      this.#resume = () => {
        cancel?.();
        resolve();
      };
    });
  }

  /** Says that one side of a source became ready (or failed). */
  notify(source: Waitable, side: "read" | "write"): void {
    if (source.watched !== side && source.watched !== "both") return;
    if (this.#resuming) return;
    this.#resuming = true;
    this.#clock.nextTurn(() => this.#finish());
  }

  /** Lets the event loop run once. */
  turn(): Promise<void> {
    if (this.#aborted !== undefined) return Promise.reject(this.#aborted);
    this.#spins = 0;
    this.#turn?.leave();
    return new Promise((resolve) => {
      this.#clock.nextTurn(() => {
        this.#turn?.enter();
        resolve();
      });
    });
  }

  /** Counts a call that did not wait; true when the event loop has to have its turn now. */
  mustTurn(): boolean {
    this.#spins++;
    return this.#spins >= MAX_SPINS;
  }

  /** Ends a guest that waits, now or when it waits next: the reason is thrown into its stack. */
  abort(reason: Error): void {
    this.#aborted = reason;
    if (this.#reject !== undefined) this.#turn?.enter();
    this.#reject?.(reason);
    this.#finish();
  }

  #finish(): void {
    const resume = this.#resume;
    this.#reject = undefined;
    this.#resume = undefined;
    this.#resuming = false;
    for (const { source } of this.#watched) source.watched = "no";
    this.#watched = [];
    if (resume === undefined) return;
    this.#turn?.enter();
    resume();
  }
}
