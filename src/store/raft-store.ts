import { assert, sleep } from "../lib/index.ts";
import type { Clock } from "../lib/index.ts";
import { checkRevision, listPast, StoreError } from "../mvcc/index.ts";
import type {
  Command,
  CommandResult,
  KeyValue,
  LeaseId,
  Revision,
  StateMachine,
  StateStorage,
  StoreWatchEvent,
} from "../mvcc/index.ts";
import type { DirectoryLock } from "./disk.ts";
import { closedError } from "./driver.ts";
import type { Driver } from "./driver.ts";
import type { Housekeeper } from "./housekeeper.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { LONE_LEADERSHIP, LONE_MEMBERSHIP } from "./lone-group.ts";
import type { SegmentedLog } from "./log/segmented-log.ts";
import type { PutOptions, RangeOptions, Store } from "./store.ts";
import type { WatchHub } from "./watch-hub.ts";
import { Watcher } from "./watcher.ts";

export const MAX_VALUE_BYTES = 1.5 * 1024 * 1024;
/** In UTF-16 code units; Kubernetes' longest keys stay under 600. */
export const MAX_KEY_LENGTH = 4_096;
/** Etcd's bound, too: nothing useful lives shorter. */
const MIN_LEASE_MS = 1_000;

export interface RaftStoreParts {
  readonly machine: StateMachine;
  readonly storage: StateStorage;
  readonly log: SegmentedLog;
  readonly driver: Driver;
  readonly hub: WatchHub;
  readonly housekeeper: Housekeeper;
  readonly lock: DirectoryLock;
  readonly clock: Clock;
}

/** The Store over a driven state machine: reads from memory, writes through proposals. */
export class RaftStore implements Store {
  readonly #parts: RaftStoreParts;
  readonly #leases: LeaseKeeper;
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(parts: RaftStoreParts) {
    this.#parts = parts;
    const expire = async (lease: LeaseId): Promise<void> => {
      await parts.driver.propose({ type: "revoke-lease", lease });
    };
    this.#leases = new LeaseKeeper({ clock: parts.clock, expire });
    for (const lease of parts.machine.leases()) this.#leases.start(lease.id, lease.ttlMs);
  }

  readonly leadership = LONE_LEADERSHIP;
  readonly membership = LONE_MEMBERSHIP;

  onLeadership(): () => void {
    return () => undefined;
  }

  async reached(revision: Revision): Promise<void> {
    await this.barrier();
    assert(this.revision >= revision, `nobody gave out revision ${revision} yet`);
  }

  get revision(): Revision {
    return this.#parts.machine.revision;
  }

  get compactedRevision(): Revision {
    return this.#parts.machine.compactedRevision;
  }

  async barrier(): Promise<Revision> {
    await this.#parts.driver.readIndex();
    return this.revision;
  }

  get(key: string): KeyValue | undefined {
    return this.#parts.machine.get(key);
  }

  list(prefix: string, options?: RangeOptions): readonly KeyValue[] {
    return this.#parts.machine.list(prefix, options);
  }

  count(prefix: string): number {
    return this.#parts.machine.count(prefix);
  }

  async getAt(key: string, revision: Revision): Promise<KeyValue | undefined> {
    const current = this.get(key);
    checkRevision(this.#parts.machine, revision);
    if (current !== undefined && current.modRevision <= revision) return current;
    const found = await this.listAt(key, revision);
    return found.find((kv) => kv.key === key);
  }

  async listAt(
    prefix: string,
    revision: Revision,
    options: RangeOptions = {},
  ): Promise<readonly KeyValue[]> {
    this.#checkOpen();
    const past = await listPast(this.#parts.machine, prefix, revision, this.#pause);
    const { after, limit } = options;
    const behind = after === undefined ? past : past.filter((kv) => kv.key > after);
    return limit === undefined ? behind : behind.slice(0, limit);
  }

  async create(key: string, value: Uint8Array, options: PutOptions = {}): Promise<KeyValue> {
    checkSize(key, value);
    // An unpaired surrogate has no UTF-8: it would come back from the log as another key.
    return this.#write({ type: "create", key: key.toWellFormed(), value, ...options });
  }

  async update(
    key: string,
    value: Uint8Array,
    expected: Revision,
    options: PutOptions = {},
  ): Promise<KeyValue> {
    checkSize(key, value);
    return this.#write({ type: "update", key, value, expected, ...options });
  }

  async delete(key: string, expected: Revision): Promise<KeyValue> {
    return this.#write({ type: "delete", key, expected });
  }

  watch(
    prefix: string,
    after: Revision,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<readonly StoreWatchEvent[]> {
    const { hub, machine } = this.#parts;
    const pause = this.#pause;
    const closed = this.#closed.signal;
    return {
      [Symbol.asyncIterator]: () =>
        new Watcher({ hub, machine, prefix, after, signal: options.signal, closed, pause }),
    };
  }

  async compact(revision: Revision): Promise<void> {
    await this.#propose({ type: "compact", revision });
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    const wholeMs = Math.max(MIN_LEASE_MS, Math.ceil(ttlMs));
    const result = await this.#propose({ type: "grant-lease", ttlMs: wholeMs });
    assert(result.type === "lease", "a grant answers with its lease");
    this.#leases.start(result.lease, wholeMs);
    return result.lease;
  }

  async renewLease(id: LeaseId): Promise<void> {
    this.#checkOpen();
    this.#leases.renew(id);
  }

  async revokeLease(id: LeaseId): Promise<void> {
    await this.#propose({ type: "revoke-lease", lease: id });
    this.#leases.stop(id);
  }

  async snapshot(path: string): Promise<void> {
    this.#checkOpen();
    await this.#parts.storage.snapshot(path);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { driver, housekeeper, log, storage, lock } = this.#parts;
    this.#leases.stopAll();
    this.#closed.abort();
    await driver.close();
    await housekeeper.stop();
    // After a failed sync the medium is unknown: the next open replays the log, nothing is tried.
    try {
      if (driver.mode !== "read-only") {
        await housekeeper.checkpoint();
        await storage.close();
      }
    } finally {
      await log.close();
      await lock.release();
    }
  }

  async #write(command: Command): Promise<KeyValue> {
    const result = await this.#propose(command);
    assert(result.type === "key-value", `a ${command.type} answers with its key`);
    return result.kv;
  }

  async #propose(command: Command): Promise<CommandResult> {
    const result = await this.#parts.driver.propose(command);
    if (result.type === "refused") throw result.error;
    return result;
  }

  #checkOpen(): void {
    if (this.#closed.signal.aborted) throw closedError();
  }

  readonly #pause = (): Promise<void> => sleep(this.#parts.clock, 0, this.#closed.signal);
}

/** What cannot be stored in any state; the store's other rules are checked when applied. */
function checkSize(key: string, value: Uint8Array): void {
  assert(key.length > 0, "a key has at least one character");
  if (key.length > MAX_KEY_LENGTH) {
    const message = `the key has ${key.length} characters, at most ${MAX_KEY_LENGTH} are allowed`;
    throw new StoreError("too-large", message);
  }
  if (value.length > MAX_VALUE_BYTES) {
    const given = `the value of ${key} has ${value.length} bytes`;
    throw new StoreError("too-large", `${given}, at most ${MAX_VALUE_BYTES} are allowed`);
  }
}
