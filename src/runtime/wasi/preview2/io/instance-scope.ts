import { MAX_SPINS } from "../../host/wakeup.ts";
import type { HostClock } from "../../host/host-clock.ts";
import { GuestTrap } from "./guest-error.ts";

/** Resources an instance may have at once; one more ends it. */
export const MAX_RESOURCES = 8192;
/** Bytes the host holds for an instance: header fields and bodies on their way. */
export const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** What a scope ends when the instance ends. */
export interface Owned {
  end(): void;
}

/** The bounds and the end of one instance: everything it holds and waits for is known here. */
export class InstanceScope {
  readonly clock: HostClock;
  readonly #owned = new Set<Owned>();
  readonly #last: Owned[] = [];
  readonly #waits = new Set<(reason: Error) => void>();
  #heldBytes = 0;
  #spins = 0;
  #closed: Error | undefined;

  constructor(clock: HostClock) {
    this.clock = clock;
  }

  get resources(): number {
    return this.#owned.size;
  }

  /** The instance ended, or is about to. */
  get closed(): boolean {
    return this.#closed !== undefined;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes that {@link hold} still takes. */
  get roomBytes(): number {
    return MAX_HELD_BYTES - this.#heldBytes;
  }

  /** Throws GuestTrap when the instance has too many already. */
  adopt(owned: Owned): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#owned.size >= MAX_RESOURCES) {
      throw new GuestTrap(`the instance holds ${MAX_RESOURCES} resources, more are not allowed`);
    }
    this.#owned.add(owned);
  }

  /** Ends it after all resources, of which it is none. */
  endLast(owned: Owned): void {
    this.#last.push(owned);
  }

  release(owned: Owned): void {
    this.#owned.delete(owned);
  }

  /** Counts bytes held for the guest. Throws GuestTrap above the limit. */
  hold(bytes: number): void {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) {
      throw new GuestTrap(`the host holds ${MAX_HELD_BYTES} bytes for the instance already`);
    }
    this.#heldBytes += bytes;
  }

  letGo(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  /**
   * Suspends the guest until `start`'s callback is called; what `start` answers is called when the
   * wait is over, for whatever reason. Rejects when the instance is closed.
   */
  wait(start: (done: () => void) => () => void): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    this.#spins = 0;
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | undefined;
      let over = false;
      const finish = () => {
        if (over) return false;
        over = true;
        this.#waits.delete(abort);
        cancel?.();
        return true;
      };
      const abort = (reason: Error) => {
        if (finish()) reject(reason);
      };
      this.#waits.add(abort);
      cancel = start(() => {
        if (finish()) resolve();
      });
      if (over) cancel();
    });
  }

  /** Counts a call that could have waited and did not; true when the event loop needs its turn. */
  mustTurn(): boolean {
    this.#spins++;
    return this.#spins >= MAX_SPINS;
  }

  /** A call from outside begins: whoever brought it let the event loop run. */
  entered(): void {
    this.#spins = 0;
  }

  /** Lets the event loop run once. */
  turn(): Promise<void> {
    return this.wait((done) => {
      this.clock.nextTurn(done);
      return () => undefined;
    });
  }

  /** Ends what is owned, the youngest first, and throws `reason` into whoever waits. */
  close(reason: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const abort of this.#waits) abort(reason);
    for (const owned of [...this.#owned].reverse()) owned.end();
    this.#owned.clear();
    for (const owned of this.#last) owned.end();
  }
}
