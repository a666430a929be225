import { LONE_LEADERSHIP, LONE_MEMBERSHIP } from "../../store/index.ts";
import {
  type KeyValue,
  type Leadership,
  type LeaseId,
  type PutOptions,
  type RangeOptions,
  type Revision,
  type Store,
  StoreError,
  type StoreErrorCode,
  type StoreWatchEvent,
  type WriteOptions,
} from "../../store/index.ts";

interface Watcher {
  readonly prefix: string;
  readonly queue: StoreWatchEvent[];
  wake: () => void;
}

/** A Store without a disk, for tests of what stands on a store: kept in arrays. */
export class MemoryStore implements Store {
  #revision = 0;
  #compacted = 0;
  #leases = 0;
  readonly #live = new Map<string, KeyValue>();
  readonly #history: StoreWatchEvent[] = [];
  readonly #watchers = new Set<Watcher>();
  /** How many writes reached the store. */
  writes = 0;
  /** Called before each write, so that a test can let another write win. */
  beforeWrite: (() => Promise<void> | void) | undefined;

  readonly mode = "read-write";
  #leadership: Leadership = LONE_LEADERSHIP;
  readonly #onLeadership = new Set<(leadership: Leadership) => void>();
  readonly membership = LONE_MEMBERSHIP;

  get leadership(): Leadership {
    return this.#leadership;
  }

  /** Makes this store lead or follow, as an election would. */
  elect(leadership: Leadership): void {
    this.#leadership = leadership;
    for (const listener of this.#onLeadership) listener(leadership);
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    this.#onLeadership.add(listener);
    return () => this.#onLeadership.delete(listener);
  }

  reached(): Promise<void> {
    return Promise.resolve();
  }

  get revision(): Revision {
    return this.#revision as Revision;
  }

  get compactedRevision(): Revision {
    return this.#compacted as Revision;
  }

  barrier(): Promise<Revision> {
    return Promise.resolve(this.revision);
  }

  get(key: string): KeyValue | undefined {
    return this.#live.get(key);
  }

  list(prefix: string, options: RangeOptions = {}): readonly KeyValue[] {
    return cut([...this.#live.values()], prefix, options);
  }

  count(prefix: string): number {
    return this.list(prefix).length;
  }

  getAt(key: string, revision: Revision): Promise<KeyValue | undefined> {
    return this.#stateAt(revision).then((state) => state.get(key));
  }

  listAt(prefix: string, revision: Revision, options: RangeOptions = {}) {
    return this.#stateAt(revision).then((state) => cut([...state.values()], prefix, options));
  }

  async create(key: string, value: Uint8Array, options: PutOptions = {}): Promise<KeyValue> {
    await this.#beforeWrite(options);
    const current = this.#live.get(key);
    if (current !== undefined) throw refuse("key-exists", key, current);
    return this.#put(key, value, undefined, options);
  }

  async update(key: string, value: Uint8Array, expected: Revision, options: PutOptions = {}) {
    await this.#beforeWrite(options);
    return this.#put(key, value, this.#expect(key, expected), options);
  }

  async delete(key: string, expected: Revision, options: WriteOptions = {}): Promise<KeyValue> {
    await this.#beforeWrite(options);
    const previous = this.#expect(key, expected);
    const kv = { ...previous, modRevision: this.#advance() };
    this.#live.delete(key);
    this.#publish({ type: "delete", kv, previous });
    return kv;
  }

  async *watch(prefix: string, after: Revision, options: { readonly signal: AbortSignal }) {
    if (after < this.#compacted) throw refuse("compacted", `revision ${after}`);
    if (after > this.#revision) throw refuse("future-revision", `revision ${after}`);
    const queue = this.#history.filter(
      ({ kv }) => kv.modRevision > after && kv.key.startsWith(prefix),
    );
    const watcher: Watcher = { prefix, queue, wake: () => undefined };
    this.#watchers.add(watcher);
    const stop = (): void => watcher.wake();
    options.signal.addEventListener("abort", stop, { once: true });
    try {
      while (!options.signal.aborted) {
        if (queue.length > 0) yield queue.splice(0);
        else await new Promise<void>((resolve) => (watcher.wake = resolve));
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  compact(revision: Revision): Promise<void> {
    this.#compacted = revision;
    return Promise.resolve();
  }

  grantLease(): Promise<LeaseId> {
    return Promise.resolve(++this.#leases as LeaseId);
  }

  renewLease(): Promise<void> {
    return Promise.resolve();
  }

  revokeLease(): Promise<void> {
    return Promise.resolve();
  }

  snapshot(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #beforeWrite({ term }: WriteOptions): Promise<void> {
    await this.beforeWrite?.();
    const { self, term: now } = this.#leadership;
    if (!self || (term !== undefined && term !== now)) throw refuse("not-leader", `term ${term}`);
    this.writes++;
  }

  #expect(key: string, expected: Revision): KeyValue {
    const current = this.#live.get(key);
    if (current === undefined) throw refuse("key-missing", key);
    if (current.modRevision !== expected) throw refuse("revision-mismatch", key, current);
    return current;
  }

  #advance(): Revision {
    return ++this.#revision as Revision;
  }

  #put(
    key: string,
    value: Uint8Array,
    previous: KeyValue | undefined,
    options: PutOptions,
  ): KeyValue {
    const modRevision = this.#advance();
    const kv: KeyValue = {
      key,
      value,
      createRevision: previous?.createRevision ?? modRevision,
      modRevision,
      version: (previous?.version ?? 0) + 1,
      ...(options.lease === undefined ? {} : { lease: options.lease }),
    };
    this.#live.set(key, kv);
    this.#publish({ type: "put", kv, ...(previous === undefined ? {} : { previous }) });
    return kv;
  }

  #publish(event: StoreWatchEvent): void {
    this.#history.push(event);
    for (const watcher of this.#watchers) {
      if (!event.kv.key.startsWith(watcher.prefix)) continue;
      watcher.queue.push(event);
      watcher.wake();
    }
  }

  #stateAt(revision: Revision): Promise<Map<string, KeyValue>> {
    if (revision < this.#compacted) {
      return Promise.reject(refuse("compacted", `revision ${revision}`));
    }
    if (revision > this.#revision) {
      return Promise.reject(refuse("future-revision", `revision ${revision}`));
    }
    const state = new Map<string, KeyValue>();
    for (const { type, kv } of this.#history) {
      if (kv.modRevision > revision) break;
      if (type === "put") state.set(kv.key, kv);
      else state.delete(kv.key);
    }
    return Promise.resolve(state);
  }
}

function cut(all: KeyValue[], prefix: string, { limit, after }: RangeOptions): KeyValue[] {
  const found = all
    .filter(({ key }) => key.startsWith(prefix) && (after === undefined || key > after))
    .sort((left, right) => (left.key < right.key ? -1 : 1));
  return limit === undefined ? found : found.slice(0, limit);
}

function refuse(code: StoreErrorCode, what: string, current?: KeyValue): StoreError {
  return new StoreError(code, `${what}: ${code}`, current === undefined ? {} : { current });
}
