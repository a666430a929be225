import type { ResourceDefinition } from "../api/index.ts";
import { jsonEquals, type KubeObject, parseRfc3339, rfc3339Micro } from "../apimachinery/index.ts";
import type { Clock } from "../lib/index.ts";
import type { KeyValue } from "../store/index.ts";
import type { ObjectCodec, StoredObject } from "./object-codec.ts";

/** Heartbeats of nodes live here; no other leases do. */
export const NODE_LEASE_NAMESPACE = "kube-node-lease";

/** How far the stored renewTime may fall behind the one in memory. */
export const DURABLE_EVERY_MS = 5 * 60 * 1000;

/** Whether heartbeats of this kind in this namespace stay in memory. */
export function holdsHeartbeats(definition: ResourceDefinition, namespace: string): boolean {
  return (
    definition.group === "coordination.k8s.io" &&
    definition.resource === "leases" &&
    namespace === NODE_LEASE_NAMESPACE
  );
}

/**
 * The renewals of node leases that never reach the log (law 7 of the state machine). A renewal
 * belongs to one state of the key, so that every other write makes it void, and the resourceVersion
 * stays what it was. Bounded by the number of node leases.
 */
export class NodeLeaseOverlay {
  readonly #codec: ObjectCodec;
  readonly #clock: Clock;
  readonly #renewed = new WeakMap<KeyValue, StoredObject>();

  constructor(codec: ObjectCodec, clock: Clock) {
    this.#codec = codec;
    this.#clock = clock;
  }

  /** The lease as it reads now: with its latest renewal. */
  view(kv: KeyValue): StoredObject {
    return this.#renewed.get(kv) ?? this.#codec.stored(kv);
  }

  /** Gives each node its full lease duration from now on: the last renewals may be forgotten. */
  grantAll(leases: readonly KeyValue[]): void {
    const renewTime = rfc3339Micro(this.#clock.now());
    for (const kv of leases) {
      const lease = this.#codec.fresh(kv);
      const spec = specOf(lease);
      if (typeof spec.renewTime !== "string") continue;
      if (parseRfc3339(spec.renewTime) >= this.#clock.now()) continue;
      const granted = { ...lease, spec: { ...spec, renewTime } };
      this.#renewed.set(kv, this.#codec.unstored(granted, kv.modRevision));
    }
  }

  /** Keeps a renewal in memory; undefined when the write must go to the store. */
  renew(kv: KeyValue, next: KubeObject): StoredObject | undefined {
    const stored = this.#codec.stored(kv);
    if (!this.#isFresh(stored.object) || !differsInRenewTimeOnly(next, stored.object)) {
      return undefined;
    }
    next.metadata.resourceVersion = String(kv.modRevision);
    const renewed = this.#codec.unstored(next, kv.modRevision);
    this.#renewed.set(kv, renewed);
    return renewed;
  }

  /** Whether the renewal on disk is young enough to serve as what a restart falls back to. */
  #isFresh(stored: Readonly<KubeObject>): boolean {
    const renewTime = specOf(stored).renewTime;
    if (typeof renewTime !== "string") return false;
    const age = this.#clock.now() - parseRfc3339(renewTime);
    return age < DURABLE_EVERY_MS;
  }
}

function specOf(object: Readonly<KubeObject>): Record<string, unknown> {
  return (object["spec"] ?? {}) as Record<string, unknown>;
}

function differsInRenewTimeOnly(next: KubeObject, stored: Readonly<KubeObject>): boolean {
  const withTime = { ...next, spec: { ...specOf(next), renewTime: specOf(stored).renewTime } };
  const metadata = { ...next.metadata, resourceVersion: stored.metadata.resourceVersion };
  return jsonEquals({ ...withTime, metadata }, stored);
}
