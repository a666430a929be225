import type { InstanceContext, Interfaces } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";
import { MAX_HELD_BYTES } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import { GrantedStore, keyvalueError, type KeyvalueError } from "./granted-store.ts";

/** `cas-error` of wasi:keyvalue/atomics. */
type CasError =
  | { readonly tag: "store-error"; readonly val: KeyvalueError }
  /** A new handle, which knows the latest value. */
  | { readonly tag: "cas-failed"; readonly val: Cas };

interface KeyResponse {
  readonly keys: readonly string[];
  readonly cursor: string | bigint | undefined;
}

/** Keys of one call of wasi:keyvalue/batch. */
export const MAX_BATCH_KEYS = 1_024;
/** Bytes that one `get-many` may answer. */
export const MAX_BATCH_BYTES = MAX_HELD_BYTES;
/** Calls of a batch that are under way at once, so that they share the log's syncs. */
const BATCH_AT_ONCE = 32;
/** Pages of one list by numbers. */
export const MAX_NUMBERED_PAGES = 10_000;

const STORE_INTERFACE = "wasi:keyvalue/store";

/** The resource `bucket`: a store that was opened. */
export class Bucket extends Resource {
  readonly store: GrantedStore;

  constructor(store: GrantedStore) {
    super(store.scope);
    this.store = store;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.store.get(key);
  }

  set(key: string, value: Uint8Array): Promise<void> {
    return this.store.set(key, value);
  }

  delete(key: string): Promise<void> {
    return this.store.delete(key);
  }

  exists(key: string): Promise<boolean> {
    return this.store.exists(key);
  }

  async listKeys(cursor: string | bigint | undefined): Promise<KeyResponse> {
    const page = await this.store.keys(cursor === undefined ? undefined : String(cursor));
    return { keys: page.keys, cursor: page.cursor };
  }
}

/** As version 0.2.0-draft has it: cursors are numbers, which are good for this bucket alone. */
class NumberedBucket extends Bucket {
  /** Where the page of each number begins; number 1 is the second page. */
  readonly #pages: string[] = [];

  override async listKeys(cursor: string | bigint | undefined): Promise<KeyResponse> {
    const number = Number(cursor ?? 0);
    const start = number === 0 ? undefined : this.#pages[number - 1];
    if (number !== 0 && start === undefined) {
      throw keyvalueError({ tag: "other", val: `${cursor} is no cursor of this bucket` });
    }
    const page = await this.store.keys(start);
    if (page.cursor === undefined) return { keys: page.keys, cursor: undefined };
    if (number >= MAX_NUMBERED_PAGES) {
      throw keyvalueError({ tag: "other", val: `the store has more pages than cursors` });
    }
    this.#pages[number] = page.cursor;
    return { keys: page.keys, cursor: BigInt(number + 1) };
  }
}

/** The resource `cas`: a key as it was when the handle was made. */
class Cas extends Resource {
  readonly #store: GrantedStore;
  readonly #key: string;
  readonly #value: Uint8Array | undefined;
  readonly #revision: number;

  private constructor(
    store: GrantedStore,
    key: string,
    { value, revision }: { readonly value?: Uint8Array; readonly revision: number },
  ) {
    super(store.scope);
    this.#store = store;
    this.#key = key;
    this.#value = value;
    this.#revision = revision;
    this.scope.hold(value?.length ?? 0);
  }

  static async new({ store }: Bucket, key: string): Promise<Cas> {
    return new Cas(store, key, await store.read(key));
  }

  current(): Uint8Array | undefined {
    return this.#value;
  }

  /** Consumes the handle. */
  async swap(value: Uint8Array): Promise<void> {
    this.end();
    try {
      if ((await this.#store.swap(this.#key, value, this.#revision)) === undefined) return;
      const now = new Cas(this.#store, this.#key, await this.#store.read(this.#key));
      throw new GuestError<CasError>({ tag: "cas-failed", val: now });
    } catch (error) {
      if (!isKeyvalueError(error)) throw error;
      throw new GuestError<CasError>({ tag: "store-error", val: error.payload });
    }
  }

  protected override released(): void {
    this.scope.letGo(this.#value?.length ?? 0);
  }
}

/** wasi:keyvalue over the pod's gate. Version 0.2.0-draft differs from draft2 in its cursors. */
export function keyvalueInterfaces(context: InstanceContext): Interfaces {
  const opened = (identifier: string) => GrantedStore.open(context, STORE_INTERFACE, identifier);
  const draft2 = { open: (name: string) => new Bucket(opened(name)), Bucket };
  const draft = { open: (name: string) => new NumberedBucket(opened(name)), Bucket };
  return {
    [STORE_INTERFACE]: draft2,
    [`${STORE_INTERFACE}@0.2.0-draft`]: draft,
    "wasi:keyvalue/atomics": { increment, swap, Bucket, Cas },
    "wasi:keyvalue/batch": { getMany, setMany, deleteMany, Bucket },
  };
}

/** One version has unsigned numbers: what has the sign's bit counts as negative. */
function increment({ store }: Bucket, key: string, delta: bigint): Promise<bigint> {
  return store.increment(key, BigInt.asIntN(64, delta));
}

function swap(cas: Cas, value: Uint8Array): Promise<void> {
  return cas.swap(value);
}

async function getMany(
  { store }: Bucket,
  keys: readonly string[],
): Promise<([string, Uint8Array] | undefined)[]> {
  let bytes = 0;
  return batch(keys, async (key) => {
    const value = await store.get(key);
    if (value === undefined) return undefined;
    bytes += value.length;
    if (bytes <= MAX_BATCH_BYTES) return [key, value];
    const val = `the values have more than ${MAX_BATCH_BYTES} bytes together: get fewer at once`;
    throw keyvalueError({ tag: "other", val });
  });
}

async function setMany(
  { store }: Bucket,
  pairs: readonly (readonly [key: string, value: Uint8Array])[],
): Promise<void> {
  await batch(pairs, ([key, value]) => store.set(key, value));
}

async function deleteMany({ store }: Bucket, keys: readonly string[]): Promise<void> {
  await batch(keys, (key) => store.delete(key));
}

/** Does the same to all, some at a time and in order; the first failure ends it. */
async function batch<Item, Outcome>(
  items: readonly Item[],
  act: (item: Item) => Promise<Outcome>,
): Promise<Outcome[]> {
  if (items.length > MAX_BATCH_KEYS) {
    const val = `${items.length} keys in one call, at most ${MAX_BATCH_KEYS} are allowed`;
    throw keyvalueError({ tag: "other", val });
  }
  const outcomes: Outcome[] = [];
  for (let from = 0; from < items.length; from += BATCH_AT_ONCE) {
    outcomes.push(...(await Promise.all(items.slice(from, from + BATCH_AT_ONCE).map(act))));
  }
  return outcomes;
}

function isKeyvalueError(error: unknown): error is GuestError<KeyvalueError> {
  if (!(error instanceof GuestError)) return false;
  const { tag } = error.payload as { readonly tag?: unknown };
  return tag === "no-such-store" || tag === "access-denied" || tag === "other";
}
