import type { Taint } from "../../api/index.ts";
import type { Clock } from "../../lib/index.ts";

interface Seen {
  leaseRenewal: string;
  statusHeartbeat: string;
  /** By this process's monotonic clock: the clocks of nodes are not trusted. */
  atMs: number;
}

/**
 * When each node last gave a sign of life, as this process saw it. A node seen for the first time
 * has the whole grace period, whatever its lease says: a server that was down must not bury nodes
 * that were alive meanwhile.
 */
export class Heartbeats {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #nodes = new Map<string, Seen>();
  readonly #taints = new Map<string, ReadonlyMap<string, number>>();

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  lease(node: string, renewal: string): void {
    const seen = this.#seen(node);
    if (seen.leaseRenewal === renewal) return;
    seen.leaseRenewal = renewal;
    seen.atMs = this.#clock.monotonic();
  }

  status(node: string, heartbeat: string): void {
    const seen = this.#seen(node);
    if (seen.statusHeartbeat === heartbeat) return;
    seen.statusHeartbeat = heartbeat;
    seen.atMs = this.#clock.monotonic();
  }

  silentMs(node: string): number {
    return this.#clock.monotonic() - this.#seen(node).atMs;
  }

  isOverdue(node: string): boolean {
    return this.silentMs(node) >= this.#graceMs;
  }

  /** Every node not given up yet gets the whole grace period again. */
  grantAll(): void {
    for (const [node, seen] of this.#nodes) {
      if (!this.isOverdue(node)) seen.atMs = this.#clock.monotonic();
    }
  }

  /** Every node, those given up too, gets the whole grace period: none could be heard. */
  startOver(): void {
    for (const seen of this.#nodes.values()) seen.atMs = this.#clock.monotonic();
  }

  forget(node: string): void {
    this.#nodes.delete(node);
    this.#taints.delete(node);
  }

  /** Remembers since when each taint of a node is known. */
  sawTaints(node: string, taints: readonly Taint[]): void {
    const before = this.#taints.get(node);
    const nowMs = this.#clock.now();
    this.#taints.set(node, new Map(taints.map(({ key }) => [key, before?.get(key) ?? nowMs])));
  }

  taintSeenMs(node: string, { key }: { readonly key: string }): number {
    return this.#taints.get(node)?.get(key) ?? this.#clock.now();
  }

  #seen(node: string): Seen {
    let seen = this.#nodes.get(node);
    if (seen === undefined) {
      seen = { leaseRenewal: "", statusHeartbeat: "", atMs: this.#clock.monotonic() };
      this.#nodes.set(node, seen);
    }
    return seen;
  }
}
