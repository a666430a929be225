import type { InstanceContext, Interfaces } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";
import { classWithStatics, Resource } from "../io/resource.ts";
import { GrantedStore, keyvalueError, type KeyvalueError } from "./granted-store.ts";

/** `error` of the interface without version; the one of 2.0.0 is wasi:keyvalue's and one more. */
type OldError =
  | Exclude<KeyvalueError, { tag: "other" }>
  | { readonly tag: "store-table-full" | "invalid-store" | "no-such-key" }
  | { readonly tag: "io"; readonly val: string };

/** Stores that an instance may have open by numbers. */
export const MAX_NUMBERED_STORES = 1_024;
/** Characters of the names that `get-keys` answers together. */
export const MAX_KEYS_LENGTH = 8 * 1024 * 1024;

const SPIN_INTERFACE = "fermyon:spin/key-value";

/** The resource `store` of fermyon:spin/key-value@2.0.0. */
class Store extends Resource {
  readonly #store: GrantedStore;

  constructor(store: GrantedStore) {
    super(store.scope);
    this.#store = store;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#store.get(key);
  }

  set(key: string, value: Uint8Array): Promise<void> {
    return this.#store.set(key, value);
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(key);
  }

  exists(key: string): Promise<boolean> {
    return this.#store.exists(key);
  }

  /** All of them: there are no cursors. */
  async getKeys(): Promise<string[]> {
    const keys: string[] = [];
    let length = 0;
    let cursor: string | undefined;
    do {
      const page = await this.#store.keys(cursor);
      for (const key of page.keys) {
        keys.push(key);
        length += key.length;
      }
      if (length > MAX_KEYS_LENGTH) {
        const val = `the keys have more than ${MAX_KEYS_LENGTH} characters together`;
        throw keyvalueError({ tag: "other", val });
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return keys;
  }
}

/**
 * Spin's `key-value`, of version 2.0.0 with its resource, and of none with functions on numbers.
 * Both have the same name without version, and none of their members in common.
 */
export function spinKeyValue(context: InstanceContext): Interfaces {
  const numbered = new Map<number, Store>();
  let last = 0;
  const open = (label: string): Store =>
    new Store(GrantedStore.open(context, SPIN_INTERFACE, label));
  const on = async <Outcome>(
    number: number,
    act: (store: Store) => Promise<Outcome>,
  ): Promise<Outcome> => {
    const store = numbered.get(number);
    if (store === undefined) throw new GuestError<OldError>({ tag: "invalid-store" });
    return act(store).catch((error: unknown) => Promise.reject(asOldError(error)));
  };
  return {
    [SPIN_INTERFACE]: {
      Store: classWithStatics(Store, { open }),
      open: (name: string): number => {
        if (numbered.size >= MAX_NUMBERED_STORES) {
          throw new GuestError<OldError>({ tag: "store-table-full" });
        }
        numbered.set(++last, open(name));
        return last;
      },
      get: (number: number, key: string) =>
        on(number, async (store) => {
          const value = await store.get(key);
          if (value === undefined) throw new GuestError<OldError>({ tag: "no-such-key" });
          return value;
        }),
      set: (number: number, key: string, value: Uint8Array) =>
        on(number, (store) => store.set(key, value)),
      delete: (number: number, key: string) => on(number, (store) => store.delete(key)),
      exists: (number: number, key: string) => on(number, (store) => store.exists(key)),
      getKeys: (number: number) => on(number, (store) => store.getKeys()),
      close: (number: number) => {
        numbered.get(number)?.[Symbol.dispose]();
        numbered.delete(number);
      },
    },
  };
}

/** The older interface calls `io` what is `other` in the newer one. */
function asOldError(error: unknown): Error {
  if (error instanceof GuestError) {
    const { tag, val = "" } = error.payload as { readonly tag: string; readonly val?: string };
    return tag === "other" ? new GuestError<OldError>({ tag: "io", val }) : error;
  }
  return error instanceof Error ? error : new Error(String(error));
}
