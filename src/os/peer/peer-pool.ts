import type { PeerError } from "./peer-error.ts";

/** Handshakes with one peer at once; other requests wait for them, or for a kept connection. */
export const MAX_DIALS_PER_PEER = 16;

interface Waiter<Connection> {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
}

/** Connections to one peer that nobody uses, and the requests that wait for one. */
export class PeerPool<Connection> {
  readonly idle: Connection[] = [];
  /** Requests that wait or are under way. */
  exchanges = 0;
  readonly #waiters = new Set<Waiter<Connection>>();
  readonly #dial: (pool: PeerPool<Connection>) => void;
  #dialling = 0;

  /** What `dial` begins ends in `dialled` or `failed`. */
  constructor(dial: (pool: PeerPool<Connection>) => void) {
    this.#dial = dial;
  }

  /** A connection for one exchange: a new one, or the first that is free. */
  wait(signal: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal.reason as Error);
      };
      const waiter: Waiter<Connection> = {
        resolve: (connection) => {
          signal.removeEventListener("abort", onAbort);
          resolve(connection);
        },
        reject: (error) => {
          signal.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      this.#dialAsNeeded();
    });
  }

  /** False when nobody waits for it. */
  handOver(connection: Connection): boolean {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.resolve(connection);
      return true;
    }
    return false;
  }

  dialled(): void {
    this.#dialling--;
    this.#dialAsNeeded();
  }

  /** Nobody is there: all who wait hear it, since nothing of theirs was sent. */
  failed(error: PeerError): void {
    this.#dialling--;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(error);
  }

  #dialAsNeeded(): void {
    while (this.#dialling < MAX_DIALS_PER_PEER && this.#dialling < this.#waiters.size) {
      this.#dialling++;
      this.#dial(this);
    }
  }
}
