import type { HostClock } from "../../host/host-clock.ts";
import { EgressConnection } from "./egress-connection.ts";
import { HttpError } from "./http-error.ts";

/** Exchanges of one container at once; one more fails with connection-limit-reached. */
export const MAX_OUTGOING_REQUESTS = 1024;
/** Connections kept for later. */
export const MAX_IDLE_CONNECTIONS = 128;
/** Below the egress' own patience, so that it seldom hangs up on a request. */
export const IDLE_TIMEOUT_MS = 4000;

/** The connections of one container to its egress. */
export class EgressPool {
  readonly #path: string;
  readonly #clock: HostClock;
  /** The latest last, which is taken first: the others grow old and are closed. */
  readonly #idle: { readonly connection: EgressConnection; readonly sinceNs: bigint }[] = [];
  #active = 0;
  #closed = false;
  #sweep: (() => void) | undefined;

  constructor(path: string, clock: HostClock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Throws connection-limit-reached. Each is followed by one {@link leave}. */
  enter(): void {
    if (this.#active >= MAX_OUTGOING_REQUESTS) {
      throw new HttpError({ tag: "connection-limit-reached" });
    }
    this.#active++;
  }

  leave(): void {
    this.#active--;
  }

  /** A connection kept from before, or a new one. Rejects with HttpError. */
  take({ fresh }: { readonly fresh: boolean }): EgressConnection | Promise<EgressConnection> {
    const kept = fresh ? undefined : this.#newestIdle();
    return kept ?? EgressConnection.open(this.#path);
  }

  give(connection: EgressConnection): void {
    if (this.#closed || this.#idle.length >= MAX_IDLE_CONNECTIONS || !connection.open) {
      connection.close();
      return;
    }
    connection.giveBack();
    this.#idle.push({ connection, sinceNs: this.#clock.monotonicNs() });
    this.#sweep ??= this.#clock.after(IDLE_TIMEOUT_MS, () => this.#closeOld());
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.();
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  #newestIdle(): EgressConnection | undefined {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.connection.open) return kept.connection;
    }
    return undefined;
  }

  #closeOld(): void {
    this.#sweep = undefined;
    const oldestNs = this.#clock.monotonicNs() - BigInt(IDLE_TIMEOUT_MS) * 1_000_000n;
    const kept = this.#idle.filter(({ connection, sinceNs }) => {
      if (sinceNs > oldestNs && connection.open) return true;
      connection.close();
      return false;
    });
    this.#idle.splice(0, this.#idle.length, ...kept);
    if (kept.length > 0) {
      this.#sweep = this.#clock.after(IDLE_TIMEOUT_MS, () => this.#closeOld());
    }
  }
}
