import type { Lease } from "../api/index.ts";
import { rfc3339Micro } from "../apimachinery/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { isNotFound } from "./api-error.ts";
import type { Client } from "./client.ts";
import { LEASES } from "./resources.ts";

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly namespace: string;
  /** Of the Lease that the candidates compete for. */
  readonly name: string;
  /** Of this candidate; must be its own. */
  readonly identity: string;
  /** How long others wait after the last renewal they saw. Default 15 s. */
  readonly leaseDurationMs?: number;
  /** A leader that cannot renew for this long steps down. Default 10 s; shorter than the lease. */
  readonly renewDeadlineMs?: number;
  /** Between two attempts. Default 2 s. */
  readonly retryPeriodMs?: number;
  readonly signal: AbortSignal;
}

const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_PERIOD_MS = 2_000;
const RETRY_JITTER = 1.2;

/** A Lease as last seen, and when this process saw it change: clocks of others are not trusted. */
interface Observed {
  readonly lease: Lease;
  readonly atMs: number;
}

/**
 * Competes for a Lease and runs `lead` while holding it; its signal aborts when the lease is lost
 * or the election ends. Runs until the signal of the options aborts or `lead` finishes by itself,
 * then gives the lease back.
 * The Lease is a durable compare-and-swap, so two holders at once would need clocks whose *rates*
 * differ by more than leaseDuration : renewDeadline.
 */
export async function runLeaderElection(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const elector = new Elector(options);
  while (!options.signal.aborted) {
    if (!(await elector.acquire())) return;
    const term = new AbortController();
    const stop = (): void => term.abort();
    options.signal.addEventListener("abort", stop, { once: true });
    const led = lead(term.signal).catch((error: unknown) => {
      options.logger.error("what the leader runs failed", { error: String(error) });
    });
    const ending = await Promise.race([
      elector.hold().then(() => "lost" as const),
      led.then(() => "finished" as const),
    ]);
    term.abort();
    options.signal.removeEventListener("abort", stop);
    await led;
    await elector.release();
    if (ending === "finished") return;
  }
}

class Elector {
  readonly #options: LeaderElectionOptions;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  #observed: Observed | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#leaseDurationMs = options.leaseDurationMs ?? LEASE_DURATION_MS;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? RENEW_DEADLINE_MS;
    this.#retryPeriodMs = options.retryPeriodMs ?? RETRY_PERIOD_MS;
    if (this.#renewDeadlineMs >= this.#leaseDurationMs) {
      throw new RangeError(
        `renewDeadlineMs is ${this.#renewDeadlineMs}, ` +
          `it must be below leaseDurationMs, ${this.#leaseDurationMs}`,
      );
    }
  }

  /** Resolves with true once the lease is ours, with false when the signal aborts. */
  async acquire(): Promise<boolean> {
    const { clock, random, signal } = this.#options;
    while (!signal.aborted) {
      if (await this.#tryHold()) return true;
      const delayMs = this.#retryPeriodMs * (1 + random.float() * (RETRY_JITTER - 1));
      await sleep(clock, delayMs, signal);
    }
    return false;
  }

  /** Renews until that fails for the renew deadline, or the signal aborts. */
  async hold(): Promise<void> {
    const { clock, signal } = this.#options;
    let renewedMs = clock.monotonic();
    while (!signal.aborted && clock.monotonic() - renewedMs < this.#renewDeadlineMs) {
      await sleep(clock, this.#retryPeriodMs, signal);
      if (signal.aborted) return;
      const startedMs = clock.monotonic();
      const leftMs = this.#renewDeadlineMs - (startedMs - renewedMs);
      // A call that hangs must not keep a leader past its deadline.
      const tooLate = new AbortController();
      const held = await Promise.race([
        this.#tryHold(),
        sleep(clock, leftMs, tooLate.signal).then(() => false),
      ]);
      tooLate.abort();
      if (held) renewedMs = startedMs;
      else if (this.#heldByAnother()) return;
    }
  }

  /** Lets the next candidate in at once instead of after the lease's duration. */
  async release(): Promise<void> {
    const lease = this.#observed?.lease;
    if (lease?.spec?.holderIdentity !== this.#options.identity) return;
    const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 };
    try {
      await this.#leases().update({ ...lease, spec });
    } catch (error) {
      this.#options.logger.debug("lease not released", { error: String(error) });
    }
    this.#observed = undefined;
  }

  #leases(): ReturnType<typeof leasesOf> {
    return leasesOf(this.#options);
  }

  #heldByAnother(): boolean {
    const holder = this.#observed?.lease.spec?.holderIdentity;
    return holder !== undefined && holder !== "" && holder !== this.#options.identity;
  }

  async #tryHold(): Promise<boolean> {
    try {
      const lease = await this.#get();
      if (lease === undefined) {
        this.#see(await this.#leases().create(this.#compose(undefined)));
        return true;
      }
      if (lease.metadata.resourceVersion !== this.#observed?.lease.metadata.resourceVersion) {
        this.#see(lease);
      }
      if (this.#heldByAnother() && !this.#expired()) return false;
      this.#see(await this.#leases().update(this.#compose(lease)));
      return true;
    } catch (error) {
      this.#options.logger.debug("lease not taken", { error: String(error) });
      return false;
    }
  }

  async #get(): Promise<Lease | undefined> {
    try {
      return await this.#leases().get(this.#options.name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #see(lease: Lease): void {
    this.#observed = { lease, atMs: this.#options.clock.monotonic() };
  }

  #expired(): boolean {
    if (this.#observed === undefined) return true;
    const seconds = this.#observed.lease.spec?.leaseDurationSeconds;
    const durationMs = seconds === undefined ? this.#leaseDurationMs : seconds * 1000;
    return this.#options.clock.monotonic() - this.#observed.atMs >= durationMs;
  }

  #compose(previous: Lease | undefined): Lease {
    const { clock, identity, name, namespace } = this.#options;
    const now = rfc3339Micro(clock.now());
    const ours = previous?.spec?.holderIdentity === identity;
    const transitions = previous?.spec?.leaseTransitions ?? 0;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: previous?.metadata ?? { name, namespace },
      spec: {
        ...previous?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: (ours ? previous.spec?.acquireTime : undefined) ?? now,
        renewTime: now,
        leaseTransitions: previous === undefined || ours ? transitions : transitions + 1,
      },
    };
  }
}

function leasesOf(options: LeaderElectionOptions) {
  return options.client.resource(LEASES, options.namespace);
}
