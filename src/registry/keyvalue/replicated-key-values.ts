import { badRequest, requestEntityTooLarge, type StatusError } from "../../apimachinery/index.ts";
import type { Clock } from "../../lib/index.ts";
import type { KeyValue, Revision, Store } from "../../store/index.ts";
import { decodeContinue, encodeContinue } from "../continue-token.ts";
import type { Leading } from "../leading.ts";
import { latestState } from "../latest-state.ts";
import type { Lookup } from "../lookup.ts";
import {
  type KeyListRequest,
  type KeyPage,
  type KeyValueStores,
  MAX_BATCH_KEYS,
  MAX_BYTES_AT_ONCE,
  MAX_KEYS_PER_PAGE,
  type StoredValue,
  type StoreSummary,
  type ValueWriteOptions,
} from "./keyvalue-stores.ts";
import {
  assertKey,
  assertStoreName,
  chargeOf,
  createdMsOf,
  namespaceValues,
  partsOf,
  type StoreAddress,
  storeValues,
  valueOf,
} from "./value-key.ts";
import { watchValues } from "./value-watch.ts";
import { ValueWriter } from "./value-writer.ts";

export interface ReplicatedKeyValuesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly lookup: Lookup;
  readonly leading: Leading;
}

/** Keys of a store that are deleted at the same time when it is emptied. */
const DELETED_AT_ONCE = 64;
/** A page that goes on at the present, whatever happened since the one before. */
const PRESENT = -1 as Revision;

/** {@link KeyValueStores} over the replicated store. */
export class ReplicatedKeyValues implements KeyValueStores {
  readonly #options: ReplicatedKeyValuesOptions;
  readonly #writer: ValueWriter;

  constructor(options: ReplicatedKeyValuesOptions) {
    this.#options = options;
    this.#writer = new ValueWriter(options);
  }

  async stores(namespace: string): ReturnType<KeyValueStores["stores"]> {
    const { store } = this.#options;
    await latestState(store);
    return { revision: store.revision, items: summaries(store.list(namespaceValues(namespace))) };
  }

  async store(at: StoreAddress): Promise<StoreSummary | undefined> {
    const { store } = this.#options;
    assertStoreName(at.store);
    await latestState(store);
    return summaries(store.list(storeValues(at)))[0];
  }

  async keys(at: StoreAddress, request: KeyListRequest): Promise<KeyPage> {
    const { store } = this.#options;
    assertStoreName(at.store);
    const { prefix = "", limit = MAX_KEYS_PER_PAGE } = request;
    const token = request.continue ?? "";
    const after = token === "" ? {} : { after: storeValues(at) + decodeContinue(token).after };
    const shown = Math.min(Math.max(limit, 1), MAX_KEYS_PER_PAGE);
    await latestState(store);
    const found = store.list(storeValues(at) + prefix, { limit: shown + 1, ...after });
    const items = found.slice(0, shown).map(storedValue);
    const last = items.at(-1);
    const page = { revision: store.revision, items };
    if (found.length <= shown || last === undefined) return page;
    return { ...page, continue: encodeContinue({ revision: PRESENT, after: last.key }) };
  }

  async get(at: StoreAddress, key: string): Promise<StoredValue | undefined> {
    const [found] = await this.getMany(at, [key]);
    return found;
  }

  async getMany(at: StoreAddress, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    const { store } = this.#options;
    assertStoreName(at.store);
    assertBatch(keys.length);
    for (const key of keys) assertKey(key);
    await latestState(store);
    const found = keys.map((key) => {
      const kv = store.get(storeValues(at) + key);
      return kv === undefined ? undefined : storedValue(kv);
    });
    const bytes = found.reduce((sum, item) => sum + (item?.value.length ?? 0), 0);
    if (bytes <= MAX_BYTES_AT_ONCE) return found;
    const limit = `at most ${MAX_BYTES_AT_ONCE} are allowed: read fewer at once`;
    throw requestEntityTooLarge(`the values have ${bytes} bytes together, ${limit}`);
  }

  async set(
    at: StoreAddress,
    key: string,
    value: Uint8Array,
    options: ValueWriteOptions = {},
  ): Promise<StoredValue> {
    return storedValue(await this.#writer.set(at, key, value, options));
  }

  delete(at: StoreAddress, key: string, options: ValueWriteOptions = {}): Promise<Revision> {
    return this.#writer.delete(at, key, options);
  }

  increment(
    at: StoreAddress,
    key: string,
    delta: bigint,
    options: ValueWriteOptions = {},
  ): ReturnType<KeyValueStores["increment"]> {
    return this.#writer.increment(at, key, delta, options);
  }

  async empty(at: StoreAddress, options: Pick<ValueWriteOptions, "term"> = {}): Promise<number> {
    const { store } = this.#options;
    assertStoreName(at.store);
    await latestState(store);
    const keys = store.list(storeValues(at)).map((kv) => partsOf(kv.key).key);
    // Several at a time, so that they share the store's syncs.
    for (let from = 0; from < keys.length; from += DELETED_AT_ONCE) {
      const some = keys.slice(from, from + DELETED_AT_ONCE);
      await Promise.all(some.map((key) => this.#gone(at, key, options)));
    }
    return keys.length;
  }

  watch(...given: Parameters<KeyValueStores["watch"]>): ReturnType<KeyValueStores["watch"]> {
    return watchValues(this.#options, ...given);
  }

  async #gone(at: StoreAddress, key: string, options: ValueWriteOptions): Promise<void> {
    try {
      await this.#writer.delete(at, key, options);
    } catch (error) {
      // Somebody else was faster: what matters is that it is gone.
      if ((error as Partial<StatusError>).code !== 404) throw error;
    }
  }
}

/** Throws 400 for more keys than one call may have. */
export function assertBatch(count: number): void {
  if (count <= MAX_BATCH_KEYS) return;
  throw badRequest(`${count} keys in one call, at most ${MAX_BATCH_KEYS} are allowed`);
}

export function storedValue(kv: KeyValue): StoredValue {
  return { key: partsOf(kv.key).key, value: valueOf(kv), revision: kv.modRevision };
}

/** Of values in key order, so that those of one store stand together. */
function summaries(kvs: readonly KeyValue[]): StoreSummary[] {
  const found: (StoreSummary & { keys: number; bytes: number })[] = [];
  let last: { -readonly [Field in keyof StoreSummary]: StoreSummary[Field] } | undefined;
  let prefix = "";
  for (const kv of kvs) {
    const createdMs = createdMsOf(kv);
    if (last === undefined || !kv.key.startsWith(prefix)) {
      const { namespace, store } = partsOf(kv.key);
      prefix = storeValues({ namespace, store });
      last = { namespace, store, keys: 0, bytes: 0, createdMs, revision: kv.modRevision };
      found.push(last);
    }
    last.keys++;
    last.bytes += chargeOf(kv, prefix);
    last.createdMs = Math.min(last.createdMs, createdMs);
    if (kv.modRevision > last.revision) last.revision = kv.modRevision;
  }
  return found;
}
