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
  StoreWatchEvent,
} from "../mvcc/index.ts";
import type { Term } from "../raft/index.ts";
import type { DirectoryLock } from "./disk.ts";
import { closedError } from "./driver-mode.ts";
import type { Driver } from "./driver.ts";
import type { GroupMembership } from "./group-membership.ts";
import type { Housekeeper } from "./housekeeper.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { DurableLog } from "./log/log-types.ts";
import type { PeerTransport } from "./peer-transport.ts";
import { notLeaderError } from "./proposals.ts";
import { RevisionWaiters } from "./revision-waiters.ts";
import type { SnapshotRoom } from "./snapshot-exchange.ts";
import type {
  Leadership,
  Membership,
  PutOptions,
  RangeOptions,
  Store,
  StoreMode,
  WriteOptions,
} from "./store.ts";
import type { StoreState } from "./store-state.ts";
import type { WatchHub } from "./watch-hub.ts";
import { Watcher } from "./watcher.ts";

export const MAX_VALUE_BYTES = 1.5 * 1024 * 1024;
/** In UTF-16 code units; Kubernetes' longest keys stay under 600. */
export const MAX_KEY_LENGTH = 4_096;
/** Etcd's bound, too: nothing useful lives shorter. */
const MIN_LEASE_MS = 1_000;

export interface RaftStoreParts {
  readonly state: StoreState;
  readonly log: DurableLog;
  readonly driver: Driver;
  readonly membership: GroupMembership;
  readonly snapshots: SnapshotRoom;
  readonly transport: PeerTransport | undefined;
  readonly hub: WatchHub;
  readonly housekeeper: Housekeeper;
  readonly lock: DirectoryLock;
  readonly clock: Clock;
}

/** The Store over a driven state machine: reads from memory, writes through proposals. */
export class RaftStore implements Store {
  readonly #parts: RaftStoreParts;
  readonly #leases: LeaseKeeper;
  readonly #revisions: RevisionWaiters;
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(parts: RaftStoreParts) {
    this.#parts = parts;
    const { driver, clock, state } = parts;
    const expire = async (lease: LeaseId): Promise<void> => {
      await driver.propose({ type: "revoke-lease", lease });
    };
    this.#leases = new LeaseKeeper({ clock, expire });
    this.#revisions = new RevisionWaiters(clock, () => state.machine.revision);
    this.#keepLeases(driver.leadership.now);
    driver.leadership.listen((leadership) => this.#keepLeases(leadership));
  }

  /** Something was applied. */
  applied(): void {
    this.#revisions.applied();
  }

  get mode(): StoreMode {
    return this.#parts.driver.mode;
  }

  get leadership(): Leadership {
    return this.#parts.driver.leadership.now;
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    return this.#parts.driver.leadership.listen(listener);
  }

  get membership(): Membership {
    return this.#parts.membership;
  }

  async reached(revision: Revision): Promise<void> {
    this.#checkOpen();
    await this.#revisions.reached(revision);
  }

  get revision(): Revision {
    return this.#machine.revision;
  }

  get compactedRevision(): Revision {
    return this.#machine.compactedRevision;
  }

  async barrier(): Promise<Revision> {
    await this.#parts.driver.readIndex();
    return this.revision;
  }

  get(key: string): KeyValue | undefined {
    return this.#machine.get(key);
  }

  list(prefix: string, options?: RangeOptions): readonly KeyValue[] {
    return this.#machine.list(prefix, options);
  }

  count(prefix: string): number {
    return this.#machine.count(prefix);
  }

  async getAt(key: string, revision: Revision): Promise<KeyValue | undefined> {
    const current = this.get(key);
    checkRevision(this.#machine, revision);
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
    const past = await this.#listPast(prefix, revision);
    const { after, limit } = options;
    const behind = after === undefined ? past : past.filter((kv) => kv.key > after);
    return limit === undefined ? behind : behind.slice(0, limit);
  }

  async create(key: string, value: Uint8Array, options: PutOptions = {}): Promise<KeyValue> {
    checkSize(key, value);
    const { term, ...attached } = options;
    // An unpaired surrogate has no UTF-8: it would come back from the log as another key.
    return this.#write({ type: "create", key: key.toWellFormed(), value, ...attached }, term);
  }

  async update(
    key: string,
    value: Uint8Array,
    expected: Revision,
    options: PutOptions = {},
  ): Promise<KeyValue> {
    checkSize(key, value);
    const { term, ...attached } = options;
    return this.#write({ type: "update", key, value, expected, ...attached }, term);
  }

  async delete(key: string, expected: Revision, options: WriteOptions = {}): Promise<KeyValue> {
    return this.#write({ type: "delete", key, expected }, options.term);
  }

  watch(
    prefix: string,
    after: Revision,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<readonly StoreWatchEvent[]> {
    const { hub } = this.#parts;
    const pause = this.#pause;
    const closed = this.#closed.signal;
    return {
      [Symbol.asyncIterator]: () =>
        new Watcher({ hub, prefix, after, signal: options.signal, closed, pause }),
    };
  }

  async compact(revision: Revision): Promise<void> {
    await this.#propose({ type: "compact", revision });
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    const wholeMs = Math.max(MIN_LEASE_MS, Math.ceil(ttlMs));
    const result = await this.#propose({ type: "grant-lease", ttlMs: wholeMs });
    assert(result.type === "lease", "a grant answers with its lease");
    // A lease of a term that is over meanwhile is its next leader's.
    if (this.leadership.self) this.#leases.start(result.lease, wholeMs);
    return result.lease;
  }

  async renewLease(id: LeaseId): Promise<void> {
    this.#checkOpen();
    const { self, leader } = this.leadership;
    if (!self) throw notLeaderError(leader ?? 0);
    this.#leases.renew(id);
  }

  async revokeLease(id: LeaseId): Promise<void> {
    await this.#propose({ type: "revoke-lease", lease: id });
    this.#leases.stop(id);
  }

  async snapshot(path: string): Promise<void> {
    this.#checkOpen();
    const { state, driver } = this.#parts;
    await state.snapshot(path, (work) => driver.exclusive(work));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { driver, housekeeper, log, state, lock, snapshots, transport } = this.#parts;
    this.#leases.stopAll();
    this.#closed.abort();
    this.#revisions.close();
    await snapshots.close();
    await driver.close();
    await transport?.close();
    await housekeeper.stop();
    // After a failed sync the medium is unknown: the next open replays the log, nothing is tried.
    try {
      if (!driver.failed) {
        await housekeeper.checkpoint();
        await state.storage.close();
      }
    } finally {
      await log.close();
      await lock.release();
    }
  }

  /** A new leader gives every lease its full time: only the last one knew how much was over. */
  #keepLeases({ self }: Leadership): void {
    this.#leases.stopAll();
    if (!self || this.#closed.signal.aborted) return;
    for (const lease of this.#machine.leases()) this.#leases.start(lease.id, lease.ttlMs);
  }

  get #machine(): StateMachine {
    return this.#parts.state.machine;
  }

  async #listPast(prefix: string, revision: Revision): Promise<readonly KeyValue[]> {
    const machine = this.#machine;
    try {
      return await listPast(machine, prefix, revision, this.#pause);
    } catch (error) {
      if (machine === this.#machine || error instanceof StoreError) throw error;
      throw new StoreError("unavailable", "a newer state took this one's place during the read");
    }
  }

  async #write(command: Command, term: Term | undefined): Promise<KeyValue> {
    const result = await this.#propose(command, term);
    assert(result.type === "key-value", `a ${command.type} answers with its key`);
    return result.kv;
  }

  async #propose(command: Command, term?: Term): Promise<CommandResult> {
    // The term of somebody who knew no leader: for the driver 0 means "in any term".
    if (term === 0) throw notLeaderError(0);
    const result = await this.#parts.driver.propose(command, term ?? 0);
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
