import { assert, unreachable } from "../lib/index.ts";
import type { Command, CommandResult } from "./command.ts";
import { decodeCommands } from "./command-codec.ts";
import { EventWindow } from "./event-window.ts";
import type { EventWindowLimits } from "./event-window.ts";
import { History } from "./history.ts";
import type { HistoryRow, ReplicatedNumbers, StoredGroup, StoredLease } from "./history.ts";
import type { SqliteConnection } from "./database.ts";
import type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "./model.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { PendingLimits } from "./pending-entries.ts";
import { isSqliteFull, StateFullError } from "./state-error.ts";
import { StoreError } from "./store-error.ts";

/** What `apply` may do; a command of a higher level waits for the entry that raises it (law 6). */
export const FEATURE_LEVEL = 2;
/** From this level on the group's members are part of the state. */
const CONFIG_LEVEL = 2;

export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

export interface Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly keys: ReadonlySet<string>;
}

interface LeaseRecord {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly keys: Set<string>;
}

/** What one entry changes, while it is applied. */
interface Draft {
  readonly rows: HistoryRow[];
  readonly granted: StoredLease[];
  readonly revoked: LeaseId[];
  /** The leases behind `revoked`, should the entry have to be undone. */
  readonly ended: LeaseRecord[];
  readonly events: StoreWatchEvent[];
}

export interface StateMachineOptions {
  readonly db: SqliteConnection;
  readonly window?: EventWindowLimits | undefined;
  readonly pending?: PendingLimits | undefined;
}

export interface OpenStateMachineOptions {
  readonly window?: EventWindowLimits | undefined;
  /** Awaited now and then while a large state is loaded, so that others have their turn. */
  readonly pause?: (() => Promise<void>) | undefined;
}

/** Rows that are loaded in one turn of the event loop. */
const LOAD_ROWS = 1_024;

/**
 * The replicated state machine: keys with revisions, leases, compaction. The present is in memory,
 * SQLite holds it with its history. `apply` is deterministic and never awaits: the same entries
 * give the same state on every replica, byte for byte (see stateHash).
 */
export class StateMachine {
  readonly history: History;
  readonly window: EventWindow;
  readonly #numbers: ReplicatedNumbers;
  readonly #keys: OrderedMap<KeyValue>;
  #group: StoredGroup;
  readonly #leases = new Map<LeaseId, LeaseRecord>();

  constructor(options: StateMachineOptions, rows?: readonly HistoryRow[]) {
    this.history = new History(options.db, options.pending);
    this.#numbers = this.history.numbers();
    this.#group = this.history.group();
    const present: [string, KeyValue][] = [];
    for (const lease of this.history.leases()) {
      this.#leases.set(lease.id, { ...lease, keys: new Set() });
    }
    for (const row of rows ?? this.history.present()) {
      present.push([row.key, keyValueOf(row)]);
      if (row.lease !== null) this.#leases.get(row.lease)?.keys.add(row.key);
    }
    this.#keys = OrderedMap.from(present);
    this.window = new EventWindow(this.revision, options.window);
  }

  /** As the constructor, with turns for others meanwhile: nobody may use `db` until it is done. */
  static async open(
    storage: { readonly db: SqliteConnection },
    options: OpenStateMachineOptions = {},
  ): Promise<StateMachine> {
    const rows: HistoryRow[] = [];
    for (const row of new History(storage.db).present()) {
      rows.push(row);
      if (rows.length % LOAD_ROWS === 0) await options.pause?.();
    }
    return new StateMachine({ db: storage.db, window: options.window }, rows);
  }

  get revision(): Revision {
    return this.#numbers.revision;
  }

  get compactedRevision(): Revision {
    return this.#numbers.compactedRevision;
  }

  get featureLevel(): number {
    return this.#numbers.featureLevel;
  }

  get appliedIndex(): number {
    return this.#numbers.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#numbers.appliedTerm;
  }

  /** Entries up to here are in the file; those behind it wait in memory, see `flush`. */
  get storedIndex(): number {
    return this.#numbers.appliedIndex - this.history.pendingEntries;
  }

  /** Who replicates the state, as the last applied config entry says. */
  get group(): StoredGroup {
    return this.#group;
  }

  /** Applied index at which the state was installed from a peer; 0 when it grew here. */
  get installedIndex(): number {
    return this.history.installedIndex();
  }

  get numbers(): Readonly<ReplicatedNumbers> {
    return this.#numbers;
  }

  get(key: string): KeyValue | undefined {
    return this.#keys.get(key);
  }

  list(prefix: string, options?: { limit?: number; after?: string }): KeyValue[] {
    return this.#keys.list(prefix, options);
  }

  count(prefix: string): number {
    return this.#keys.count(prefix);
  }

  /** Sorted by id. */
  leases(): Lease[] {
    return [...this.#leases.values()].sort((a, b) => a.id - b.id);
  }

  /**
   * Applies the next entry and publishes its events to the window. SQLite gets several entries in
   * one transaction: until then the log alone has what is behind `storedIndex`.
   * An entry without data only moves the applied index. A refusal is a result, not an error.
   * @throws StateFullError when there is no space: nothing of the entry counts, in memory neither,
   * and the same entry may be applied again later. Error when the entry is of a newer version, or
   * SQLite fails otherwise: the caller must stop.
   */
  apply(entry: AppliedEntry): CommandResult[] {
    const expected = this.#numbers.appliedIndex + 1;
    assert(entry.index === expected, `entry ${entry.index} is applied where ${expected} is next`);
    const commands = entry.data.length === 0 ? [] : decodeCommands(entry.data);
    const draft: Draft = { rows: [], granted: [], revoked: [], ended: [], events: [] };
    const before = { ...this.#numbers };
    const results = commands.map((command) => this.#run(command, draft));
    this.#numbers.appliedIndex = entry.index;
    this.#numbers.appliedTerm = entry.term;
    try {
      this.history.add(draft, this.#numbers);
    } catch (error) {
      this.#undo(draft, before);
      throw stateError(error);
    }
    for (const event of draft.events) this.window.push(event);
    return results;
  }

  /**
   * Applies a config entry: the group as it is from here on becomes part of the state, and the
   * applied index moves; the file has both at once. Same entry, same group, same state everywhere.
   * @throws Error below feature level 2, or when the group's name would change; as `apply` else.
   */
  applyConfig(entry: Omit<AppliedEntry, "data">, group: StoredGroup): void {
    const { appliedIndex, featureLevel } = this.#numbers;
    const expected = appliedIndex + 1;
    assert(entry.index === expected, `entry ${entry.index} is applied where ${expected} is next`);
    if (featureLevel < CONFIG_LEVEL) {
      throw new Error(`a config entry needs feature level ${CONFIG_LEVEL}, not ${featureLevel}`);
    }
    const { clusterId } = this.#group;
    if (clusterId !== "" && clusterId !== group.clusterId) {
      throw new Error(`the group is ${clusterId}; an entry calls it ${group.clusterId}`);
    }
    const numbers = { ...this.#numbers, appliedIndex: entry.index, appliedTerm: entry.term };
    try {
      this.history.add({ rows: [], granted: [], revoked: [], group }, numbers);
    } catch (error) {
      throw stateError(error);
    }
    Object.assign(this.#numbers, numbers);
    this.#group = { clusterId: group.clusterId, members: group.members.slice() };
  }

  /**
   * Writes all that is applied to the file.
   * @throws StateFullError when there is no space: it waits on, and is written later
   */
  flush(): void {
    try {
      this.history.flush();
    } catch (error) {
      throw stateError(error);
    }
  }

  #run(command: Command, draft: Draft): CommandResult {
    const gate = command.type === "feature-level" ? 0 : 1;
    if (this.#numbers.featureLevel < gate) {
      const level = this.#numbers.featureLevel;
      return refused("read-only", `${command.type} needs feature level ${gate}, not ${level}`);
    }
    switch (command.type) {
      case "create":
        return this.#create(command, draft);
      case "update":
        return this.#update(command, draft);
      case "delete":
        return this.#delete(command, draft);
      case "compact":
        return this.#compact(command.revision);
      case "grant-lease":
        return this.#grant(command.ttlMs, draft);
      case "revoke-lease":
        return this.#revoke(command.lease, draft);
      case "feature-level":
        return this.#raiseFeatureLevel(command.level);
      default:
        return unreachable(command);
    }
  }

  #create(command: Command & { type: "create" }, draft: Draft): CommandResult {
    const current = this.#keys.get(command.key);
    if (current !== undefined) {
      return refused("key-exists", `key ${command.key} exists`, { current });
    }
    return this.#put(command, undefined, draft);
  }

  #update(command: Command & { type: "update" }, draft: Draft): CommandResult {
    const found = this.#expect(command.key, command.expected);
    return found.type === "refused" ? found : this.#put(command, found.kv, draft);
  }

  #delete(command: Command & { type: "delete" }, draft: Draft): CommandResult {
    const found = this.#expect(command.key, command.expected);
    if (found.type === "refused") return found;
    return { type: "key-value", kv: this.#remove(found.kv, draft) };
  }

  /** The key as it is, if it was last changed at the expected revision. */
  #expect(
    key: string,
    expected: Revision,
  ): Extract<CommandResult, { type: "key-value" | "refused" }> {
    const current = this.#keys.get(key);
    if (current === undefined) return refused("key-missing", `key ${key} does not exist`);
    if (current.modRevision === expected) return { type: "key-value", kv: current };
    const message = `key ${key} is at revision ${current.modRevision}, not ${expected}`;
    return refused("revision-mismatch", message, { current });
  }

  #put(
    command: Command & { type: "create" | "update" },
    previous: KeyValue | undefined,
    draft: Draft,
  ): CommandResult {
    const { key, value, lease } = command;
    if (lease !== undefined && !this.#leases.has(lease)) return leaseMissing(lease);
    const revision = this.#nextRevision();
    const kv: KeyValue = {
      key,
      value,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
      ...(lease === undefined ? {} : { lease }),
    };
    if (previous?.lease !== undefined) this.#leases.get(previous.lease)?.keys.delete(key);
    if (lease !== undefined) this.#leases.get(lease)?.keys.add(key);
    this.#keys.set(key, kv);
    draft.rows.push(rowOf(kv, { previous, value }));
    draft.events.push({ type: "put", kv, ...(previous === undefined ? {} : { previous }) });
    return { type: "key-value", kv };
  }

  #remove(previous: KeyValue, draft: Draft): KeyValue {
    const kv: KeyValue = { ...previous, modRevision: this.#nextRevision() };
    if (previous.lease !== undefined) {
      this.#leases.get(previous.lease)?.keys.delete(previous.key);
    }
    this.#keys.delete(previous.key);
    draft.rows.push(rowOf(kv, { previous, value: null }));
    draft.events.push({ type: "delete", kv, previous });
    return kv;
  }

  #compact(revision: Revision): CommandResult {
    const { revision: latest, compactedRevision } = this.#numbers;
    if (revision <= compactedRevision) {
      return refused("compacted", `revision ${revision} is compacted (to ${compactedRevision})`);
    }
    if (revision > latest) {
      return refused("future-revision", `revision ${revision} is ahead of ${latest}`);
    }
    this.#numbers.compactedRevision = revision;
    return { type: "done" };
  }

  #grant(ttlMs: number, draft: Draft): CommandResult {
    const id = this.#numbers.nextLease;
    this.#numbers.nextLease = (id + 1) as LeaseId;
    this.#leases.set(id, { id, ttlMs, keys: new Set() });
    draft.granted.push({ id, ttlMs });
    return { type: "lease", lease: id };
  }

  #revoke(id: LeaseId, draft: Draft): CommandResult {
    const lease = this.#leases.get(id);
    if (lease === undefined) return leaseMissing(id);
    for (const key of [...lease.keys].sort()) {
      const current = this.#keys.get(key);
      assert(current?.lease === id, `lease ${id} names ${key}, which it does not hold`);
      this.#remove(current, draft);
    }
    this.#leases.delete(id);
    draft.revoked.push(id);
    draft.ended.push(lease);
    return { type: "done" };
  }

  #raiseFeatureLevel(level: number): CommandResult {
    if (level > FEATURE_LEVEL) {
      throw new Error(`the log needs feature level ${level}; this version has ${FEATURE_LEVEL}`);
    }
    this.#numbers.featureLevel = Math.max(level, this.#numbers.featureLevel);
    return { type: "done" };
  }

  /** Memory as it was before the entry, the latest change first. */
  #undo(draft: Draft, before: ReplicatedNumbers): void {
    for (const lease of draft.ended) this.#leases.set(lease.id, lease);
    for (const { kv, previous, type } of draft.events.toReversed()) {
      if (type === "put" && kv.lease !== undefined) {
        this.#leases.get(kv.lease)?.keys.delete(kv.key);
      }
      if (previous === undefined) this.#keys.delete(kv.key);
      else this.#keys.set(kv.key, previous);
      if (previous?.lease !== undefined) this.#leases.get(previous.lease)?.keys.add(kv.key);
    }
    for (const { id } of draft.granted) this.#leases.delete(id);
    Object.assign(this.#numbers, before);
  }

  #nextRevision(): Revision {
    this.#numbers.revision = (this.#numbers.revision + 1) as Revision;
    return this.#numbers.revision;
  }
}

function stateError(error: unknown): unknown {
  if (!isSqliteFull(error)) return error;
  return new StateFullError(`no space for the state: ${String(error)}`, { cause: error });
}

/** The key a put's row stands for. */
export function keyValueOf(row: HistoryRow): KeyValue {
  assert(row.value !== null, `revision ${row.revision} is a delete and has no value`);
  return {
    key: row.key,
    value: row.value,
    createRevision: row.createRevision,
    modRevision: row.revision,
    version: row.version,
    ...(row.lease === null ? {} : { lease: row.lease }),
  };
}

function rowOf(
  kv: KeyValue,
  change: { previous: KeyValue | undefined; value: Uint8Array | null },
): HistoryRow {
  return {
    revision: kv.modRevision,
    key: kv.key,
    createRevision: kv.createRevision,
    version: kv.version,
    previous: change.previous?.modRevision ?? (0 as Revision),
    lease: kv.lease ?? null,
    value: change.value,
  };
}

function leaseMissing(id: LeaseId): Extract<CommandResult, { type: "refused" }> {
  return refused("lease-missing", `lease ${id} does not exist`);
}

function refused(
  code: StoreError["code"],
  message: string,
  options: { current?: KeyValue } = {},
): Extract<CommandResult, { type: "refused" }> {
  return { type: "refused", error: new StoreError(code, message, options) };
}
