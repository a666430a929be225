import type { Revision, Store, StoreWatchEvent } from "../../../src/store/index.ts";
import { ClusterViolation } from "./cluster-violation.ts";
import type { Acknowledged } from "./history.ts";
import type { WatchedEvent } from "./sim-watcher.ts";
import { settle } from "./timeline.ts";

const CONFIG_MAPS = "/registry/core/configmaps/default/";
const SERVICES = "/registry/core/services/";
/** Turns of the event loop for which the store may be silent before all is told. */
const PATIENCE = 5;

interface StoredObject {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data?: { readonly v?: string };
  readonly spec?: {
    readonly clusterIP?: string;
    readonly ports?: readonly { readonly nodePort?: number }[];
  };
}

/**
 * Every change in order, as the servers have it: collected on the way, because they forget. What is
 * applied anywhere is committed, so that any server may be asked.
 */
export class Truth {
  readonly events: StoreWatchEvent[] = [];
  #revision: Revision;

  constructor(after: Revision) {
    this.#revision = after;
  }

  /** Asks the server that knows most for what came since the last time. */
  async collect(stores: readonly Store[]): Promise<void> {
    let latest: Store | undefined;
    for (const store of stores) {
      if (store.revision > (latest?.revision ?? this.#revision)) latest = store;
    }
    if (latest !== undefined) await this.#read(latest);
  }

  async #read(store: Store): Promise<void> {
    const done = new AbortController();
    let told = 0;
    const reading = (async () => {
      for await (const batch of store.watch("/registry/", this.#revision, done)) {
        this.events.push(...batch);
        told += 1;
      }
    })();
    for (let silent = 0, before = -1; silent < PATIENCE; silent++) {
      await settle();
      if (told !== before) silent = 0;
      before = told;
    }
    done.abort();
    await reading;
    this.#revision = this.events.at(-1)?.kv.modRevision ?? this.#revision;
  }
}

/** What watchers of ConfigMaps had to be told. */
export function configMapEvents(truth: readonly StoreWatchEvent[]): WatchedEvent[] {
  return truth
    .filter(({ kv }) => kv.key.startsWith(CONFIG_MAPS))
    .map(({ type, kv }) => ({
      type: type === "delete" ? "DELETED" : kv.version === 1 ? "ADDED" : "MODIFIED",
      name: kv.key.slice(CONFIG_MAPS.length),
      value: Number(objectOf(kv.value).data?.v),
      revision: kv.modRevision,
    }));
}

/** Each acknowledged write is in the history, with its revision and value. */
export function checkAcknowledged(
  acknowledged: readonly Acknowledged[],
  events: readonly WatchedEvent[],
): void {
  const byRevision = new Map(events.map((event) => [event.revision, event]));
  for (const { key, value, revision } of acknowledged) {
    const event = byRevision.get(revision);
    if (event?.name === key && event.value === value && event.type !== "DELETED") continue;
    throw new ClusterViolation(
      "acknowledged writes",
      `${key} = ${value} was acknowledged at ${revision}, where ${JSON.stringify(event)} is`,
    );
  }
}

/** No two Services have an address or a node port at the same revision. */
export function checkAddresses(truth: readonly StoreWatchEvent[]): void {
  const owners = new Map<string, string>();
  for (const { type, kv } of truth) {
    if (!kv.key.startsWith(SERVICES)) continue;
    for (const [address, owner] of owners) if (owner === kv.key) owners.delete(address);
    if (type === "delete") continue;
    for (const address of addressesOf(objectOf(kv.value))) {
      const owner = owners.get(address);
      if (owner !== undefined) {
        throw new ClusterViolation(
          "addresses",
          `${kv.key} gets ${address} at ${kv.modRevision}, which ${owner} has`,
        );
      }
      owners.set(address, kv.key);
    }
  }
}

function addressesOf({ spec }: StoredObject): string[] {
  const ports = spec?.ports?.flatMap(({ nodePort }) => (nodePort ? [`port ${nodePort}`] : []));
  return [...(spec?.clusterIP ? [spec.clusterIP] : []), ...(ports ?? [])];
}

function objectOf(value: Uint8Array): StoredObject {
  return JSON.parse(new TextDecoder().decode(value)) as StoredObject;
}
