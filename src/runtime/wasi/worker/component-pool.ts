import type { PreviewTwo, PreviewTwoInstance } from "../preview2/preview-two.ts";
import type { HostClock } from "../host/host-clock.ts";
import type { ComponentCode, ComponentInstance } from "./component-code.ts";

export interface ComponentPoolOptions {
  readonly code: ComponentCode;
  readonly host: PreviewTwo;
  readonly clock: HostClock;
  /** Instances there may be at once. */
  readonly instances: number;
  /**
   * Memories of all instances together; beyond it no instance is added, except that there is always
   * one.
   */
  readonly memoryLimitBytes: number | undefined;
  /** Every call gets an instance of its own. */
  readonly freshInstances: boolean;
}

/**
 * Whether an instance may serve another call. `untried`: none has yet; `suspect`: one has failed at
 * it, and until it is known whether that was the cause, only fresh ones are given; `never`: it was.
 */
export type Reuse = "untried" | "suspect" | "works" | "never";

/** One instance with its side of the host; it serves one call at a time. */
export interface PooledInstance {
  readonly instance: ComponentInstance;
  readonly host: PreviewTwoInstance;
  /** Calls it has served. */
  calls: number;
  /** Of its memory, after its first call. */
  memoryBytesAtFirst: number;
  /** Answers of it that are still on their way to a client. */
  streams: number;
}

type Taker = (taken: PooledInstance | Error) => void;

/** Requests that wait for an instance; one more is answered 503. */
export const MAX_WAITING_REQUESTS = 1024;
/** An instance that was not needed for so long is let go, except for the last. */
export const IDLE_INSTANCE_MS = 30_000;
/**
 * After so many calls an instance is replaced if it has grown. Guests in languages with a garbage
 * collector forget to drop handles, request after request, and an instance may have only so many;
 * and memory that a guest took is never given back. One that neither forgets nor grows stays:
 * making another takes as long as a hundred small requests.
 */
export const MAX_CALLS = 1000;
/** Handles that an instance may have after so many calls without being taken for forgetful. */
export const MAX_RESTING_RESOURCES = 256;
/** Instances made ahead of need when each serves one call only. */
export const SPARE_INSTANCES = 2;

/**
 * The instances of a component. They are made when all others are busy, up to the limits, and let
 * go when they were idle for long. The one used last is used first, so that the rest become idle.
 */
export class ComponentPool {
  readonly #options: ComponentPoolOptions;
  /** The one used last is at the end. */
  readonly #idle: { readonly pooled: PooledInstance; readonly sinceNs: bigint }[] = [];
  readonly #busy = new Set<PooledInstance>();
  readonly #takers: Taker[] = [];
  #making = 0;
  #sweeping = false;
  #reuse: Reuse;

  constructor(options: ComponentPoolOptions) {
    this.#options = options;
    this.#reuse = options.freshInstances ? "never" : "untried";
  }

  get reuse(): Reuse {
    return this.#reuse;
  }

  /**
   * What a call on a used instance has shown; what was shown for good is not taken back. Tells
   * whether it is new.
   */
  learn(reuse: Reuse): boolean {
    if (this.#reuse === "works" || this.#reuse === "never" || this.#reuse === reuse) return false;
    this.#reuse = reuse;
    if (!this.#onlyFresh) return true;
    for (const { pooled } of this.#idle.splice(0)) {
      this.#busy.add(pooled);
      this.give(pooled);
    }
    this.#makeSpares();
    return true;
  }

  get size(): number {
    return this.#idle.length + this.#busy.size + this.#making;
  }

  get waiting(): number {
    return this.#takers.length;
  }

  get memoryBytes(): number {
    let sum = 0;
    for (const { pooled } of this.#idle) sum += pooled.instance.memoryBytes;
    for (const { instance } of this.#busy) sum += instance.memoryBytes;
    return sum;
  }

  /**
   * An instance, at once when one is idle; `undefined` when too many wait already. Rejects with
   * what the component's start threw.
   */
  take(): PooledInstance | Promise<PooledInstance> | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#busy.add(idle.pooled);
      return idle.pooled;
    }
    if (this.#takers.length >= MAX_WAITING_REQUESTS) return undefined;
    const taken = new Promise<PooledInstance>((resolve, reject) => {
      this.#takers.push((given) => (given instanceof Error ? reject(given) : resolve(given)));
    });
    this.#makeWanted();
    return taken;
  }

  /** Gives an instance back that can serve another call. */
  give(pooled: PooledInstance): void {
    if (!this.#busy.has(pooled)) return;
    // What its guest finished still goes out, and what it did not it never will.
    if (this.#onlyFresh && pooled.calls > 0) return this.drop(pooled);
    if (pooled.calls === 1) pooled.memoryBytesAtFirst = pooled.instance.memoryBytes;
    if (pooled.calls >= MAX_CALLS && pooled.streams === 0) {
      if (hasGrown(pooled)) return this.drop(pooled);
      pooled.calls = 1;
    }
    const taker = this.#takers.shift();
    if (taker !== undefined) return taker(pooled);
    this.#busy.delete(pooled);
    this.#idle.push({ pooled, sinceNs: this.#options.clock.monotonicNs() });
    this.#scheduleSweep();
  }

  /** Ends an instance that cannot be used any more. */
  drop(pooled: PooledInstance): void {
    if (!this.#busy.delete(pooled)) return;
    pooled.host.close();
    this.#makeWanted();
    this.#makeSpares();
  }

  /** Makes the first instance, so that the first request does not wait for it. */
  async warm(): Promise<void> {
    const taken = await this.take();
    if (taken !== undefined) this.give(taken);
  }

  get #onlyFresh(): boolean {
    return this.#reuse === "suspect" || this.#reuse === "never";
  }

  /** After the turn, so that the answer that has just been given goes out before. */
  #makeSpares(): void {
    if (this.#reuse !== "never") return;
    this.#options.clock.nextTurn(() => this.#makeWanted(SPARE_INSTANCES - this.#idle.length));
  }

  #makeWanted(spares = 0): void {
    const wanted = this.#takers.length + Math.max(0, spares);
    while (this.#making < wanted && this.#mayMake()) {
      this.#making++;
      void this.#make().then(
        (pooled) => this.#made(pooled),
        (error: unknown) => this.#failed(error),
      );
    }
  }

  #mayMake(): boolean {
    const { instances, memoryLimitBytes } = this.#options;
    const { size } = this;
    if (size === 0) return true;
    if (size >= instances) return false;
    if (memoryLimitBytes === undefined) return true;
    const existing = this.#idle.length + this.#busy.size;
    // Without any to measure, the one being made is waited for.
    if (existing === 0) return false;
    const each = this.memoryBytes / existing;
    return each * (size + 1) <= memoryLimitBytes;
  }

  async #make(): Promise<PooledInstance> {
    const host = this.#options.host.instance();
    try {
      const instance = await this.#options.code.instantiate(host.imports);
      return { instance, host, calls: 0, memoryBytesAtFirst: 0, streams: 0 };
    } catch (error) {
      host.close();
      throw error;
    }
  }

  #made(pooled: PooledInstance): void {
    this.#making--;
    this.#busy.add(pooled);
    this.give(pooled);
    this.#makeWanted();
  }

  /** One waits in vain for each that could not be made: the others may still get one. */
  #failed(error: unknown): void {
    this.#making--;
    this.#takers.shift()?.(error instanceof Error ? error : new Error(String(error)));
    this.#makeWanted();
  }

  #scheduleSweep(): void {
    if (this.#sweeping || this.#idle.length < 2) return;
    this.#sweeping = true;
    this.#options.clock.after(IDLE_INSTANCE_MS, () => {
      this.#sweeping = false;
      const oldestNs = this.#options.clock.monotonicNs() - BigInt(IDLE_INSTANCE_MS) * 1_000_000n;
      while (this.size > 1) {
        const first = this.#idle[0];
        if (first === undefined || first.sinceNs > oldestNs) break;
        this.#idle.shift();
        first.pooled.host.close();
      }
      this.#scheduleSweep();
    });
  }
}

function hasGrown({ instance, host, memoryBytesAtFirst }: PooledInstance): boolean {
  return host.resources > MAX_RESTING_RESOURCES || instance.memoryBytes > memoryBytesAtFirst;
}
