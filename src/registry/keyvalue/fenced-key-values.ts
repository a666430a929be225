import type { Term } from "../../store/index.ts";
import type { KeyValueStores } from "./keyvalue-stores.ts";

/** The stores as one request sees them: what it writes counts only in the term it began in. */
export function fencedKeyValues(stores: KeyValueStores, term: Term): KeyValueStores {
  return {
    stores: (namespace) => stores.stores(namespace),
    store: (at) => stores.store(at),
    keys: (at, request) => stores.keys(at, request),
    get: (at, key) => stores.get(at, key),
    getMany: (at, keys) => stores.getMany(at, keys),
    set: (at, key, value, options) => stores.set(at, key, value, { ...options, term }),
    delete: (at, key, options) => stores.delete(at, key, { ...options, term }),
    increment: (at, key, delta, options) => stores.increment(at, key, delta, { ...options, term }),
    empty: (at) => stores.empty(at, { term }),
    watch: (at, request) => stores.watch(at, request),
  };
}
