import type { ResourceDefinition } from "../api/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { type Clock, type Logger, sleep } from "../lib/index.ts";
import { type Store, StoreError } from "../store/index.ts";
import type { Lookup } from "./lookup.ts";
import { namespacePrefix } from "./storage-key.ts";

/** Keeps something in step with all objects of a kind. Called synchronously, in order. */
export interface ObjectObserver<T extends KubeObject> {
  /** Everything there is; replaces what was known. By key. */
  reset(objects: ReadonlyMap<string, Readonly<T>>): void;
  /** One object's new state; undefined when it is gone. */
  changed(key: string, object: Readonly<T> | undefined): void;
}

export interface ObserveOptions {
  readonly store: Store;
  readonly lookup: Lookup;
  readonly clock: Clock;
  readonly logger: Logger;
}

const AGAIN_AFTER_MS = 100;

/** Tells the observer the present before it returns, and every change until the store closes. */
export function observeObjects<T extends KubeObject>(
  definition: ResourceDefinition,
  observer: ObjectObserver<T>,
  options: ObserveOptions,
): void {
  const { store, lookup, clock, logger } = options;
  const prefix = namespacePrefix(definition, "");
  const codec = lookup.codec(definition);
  const present = (): void => {
    const kvs = store.list(prefix);
    observer.reset(new Map(kvs.map((kv) => [kv.key, codec.stored(kv).object as T])));
  };
  const run = async (): Promise<void> => {
    for (let heard = true; ;) {
      // Who fell behind takes the present at once; only what fails again and again is slowed down.
      if (!heard) await sleep(clock, AGAIN_AFTER_MS);
      heard = false;
      try {
        const { signal } = new AbortController();
        // What was told and what is watched from is the same state: nothing awaits in between.
        const changes = store.watch(prefix, store.revision, { signal });
        present();
        for await (const events of changes) {
          heard = true;
          for (const { type, kv } of events) {
            const object = type === "put" ? (codec.stored(kv).object as T) : undefined;
            observer.changed(kv.key, object);
          }
        }
        return;
      } catch (error) {
        if (error instanceof StoreError && error.code === "closed") return;
        logger.debug("observing again", { prefix, error: String(error) });
      }
    }
  };
  void run();
}
