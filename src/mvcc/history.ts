import { Buffer } from "node:buffer";
import { and, asc, eq, gt, inArray, lte, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import type { SqliteConnection } from "./database.ts";
import type { LeaseId, Revision } from "./model.ts";
import { PendingEntries } from "./pending-entries.ts";
import type { PendingEntry, PendingLimits } from "./pending-entries.ts";
import { isSqliteFull } from "./state-error.ts";
import { history, leases, local, memberGroup, replicated } from "./schema.ts";

/** One change as it is kept: `value` is absent in a delete. */
export interface HistoryRow {
  readonly revision: Revision;
  readonly key: string;
  readonly createRevision: Revision;
  readonly version: number;
  /** Revision of the value this row replaces or deletes; 0 when there was none. */
  readonly previous: Revision;
  readonly lease: LeaseId | null;
  readonly value: Uint8Array | null;
}

/** The numbers of the state machine; they are written with every log entry. */
export interface ReplicatedNumbers {
  appliedIndex: number;
  appliedTerm: number;
  revision: Revision;
  compactedRevision: Revision;
  featureLevel: number;
  nextLease: LeaseId;
}

/** Who replicates the state; the store knows how `members` is written. */
export interface StoredGroup {
  /** Empty until the first config entry of the log. */
  readonly clusterId: string;
  readonly members: Uint8Array;
}

export interface StoredLease {
  readonly id: LeaseId;
  readonly ttlMs: number;
}

/** What one log entry changed. */
export interface HistoryChanges {
  readonly rows: readonly HistoryRow[];
  readonly granted: readonly StoredLease[];
  readonly revoked: readonly LeaseId[];
  readonly group?: StoredGroup;
}

/** As much of the file as is mapped while the present is loaded. */
const LOAD_MAPPED_BYTES = 1024 * 1024 * 1024;

/**
 * The state machine's rows in SQLite: prepared statements, and one transaction for several entries.
 * Those that wait for it are found by `page` and `row` as if they were there.
 */
export class History {
  readonly #db: SqliteConnection;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #pending: PendingEntries;

  constructor(db: SqliteConnection, limits?: PendingLimits) {
    this.#db = db;
    this.#statements = prepare(db);
    this.#pending = new PendingEntries(limits);
  }

  /** Entries that the file does not have yet. */
  get pendingEntries(): number {
    return this.#pending.entries.length;
  }

  numbers(): ReplicatedNumbers {
    const row = this.#statements.numbers.get();
    if (row === undefined) throw new Error(`${this.#db.name} has lost its replicated row`);
    return {
      appliedIndex: row.appliedIndex,
      appliedTerm: row.appliedTerm,
      revision: row.revision as Revision,
      compactedRevision: row.compactedRevision as Revision,
      featureLevel: row.featureLevel,
      nextLease: row.nextLease as LeaseId,
    };
  }

  group(): StoredGroup {
    const row = this.#statements.group.get();
    if (row === undefined) throw new Error(`${this.#db.name} has lost its row of the group`);
    return { clusterId: row.clusterId, members: new Uint8Array(row.members) };
  }

  /** Applied index at which the file was installed from a peer; 0 when it grew here. */
  installedIndex(): number {
    return this.#statements.scavenged.get()?.installedIndex ?? 0;
  }

  /** The file is about to become a state of ours, taken over from a peer. */
  markInstalled(appliedIndex: number): void {
    drizzle(this.#db).update(local).set({ installedIndex: appliedIndex, walStarts: 0 }).run();
  }

  leases(): StoredLease[] {
    return this.#statements.leases.all().map((row) => ({ ...row, id: row.id as LeaseId }));
  }

  /** The last row of every living key. */
  *present(): Generator<HistoryRow> {
    // Mapped, the whole file is read in a third of the time; afterwards the memory is given back.
    this.#db.pragma(`mmap_size = ${LOAD_MAPPED_BYTES}`);
    try {
      for (const row of this.#statements.present.raw().iterate()) yield rowFrom(row as RawRow);
    } finally {
      this.#db.pragma("mmap_size = 0");
    }
  }

  /**
   * Takes what one log entry changed, with the numbers behind it. The one that fills the limits
   * writes all that wait, itself included.
   * @throws SQLite's error when they cannot be written: this entry does not count, the others wait
   */
  add(changes: HistoryChanges, numbers: ReplicatedNumbers): void {
    const entry = { changes, numbers: { ...numbers } };
    if (this.#pending.hasRoomFor(entry)) {
      this.#pending.add(entry);
      return;
    }
    this.#write([...this.#pending.entries, entry]);
    this.#pending.clear();
  }

  /** Writes what waits. @throws SQLite's error; it waits on then */
  flush(): void {
    if (this.#pending.entries.length === 0) return;
    this.#write(this.#pending.entries);
    this.#pending.clear();
  }

  #write(entries: readonly PendingEntry[]): void {
    const { begin, commit, rollback, update } = this.#statements;
    const last = entries.at(-1);
    if (last === undefined) return;
    begin.run();
    try {
      for (const { changes } of entries) this.#writeChanges(changes);
      update.run(...rawNumbers(last.numbers));
      commit.run();
    } catch (error) {
      if (this.#db.inTransaction) rollback.run();
      throw error;
    }
  }

  #writeChanges(changes: HistoryChanges): void {
    const { insert, grant, revoke, regroup } = this.#statements;
    for (const row of changes.rows) insert.run(...rawRow(row));
    for (const lease of changes.granted) grant.run({ ...lease });
    for (const lease of changes.revoked) revoke.run({ id: lease });
    if (changes.group === undefined) return;
    const { clusterId, members } = changes.group;
    regroup.run({ clusterId, members: Buffer.from(members) });
  }

  /** Rows behind a revision, oldest first. */
  page(after: Revision, limit: number): HistoryRow[] {
    const rows = this.#statements.page.raw().all(after, limit);
    const stored = rows.map((row) => rowFrom(row as RawRow));
    return [...stored, ...this.#pending.page(after, limit - stored.length)];
  }

  row(revision: Revision): HistoryRow | undefined {
    const pending = this.#pending.row(revision);
    if (pending !== undefined) return pending;
    const row = this.#statements.row.raw().get(revision);
    return row === undefined ? undefined : rowFrom(row as RawRow);
  }

  /**
   * Deletes rows that no state from `compacted` on can reach, looking at `limit` rows at most.
   * A row up to the compacted revision hides the one it replaced; a delete hides itself too.
   * Rows that wait are written before: the walk does not come back to where it was.
   * "full": not now, because deleting needs space, too.
   */
  scavenge(compacted: Revision, limit: number): "done" | "more" | "full" {
    const from = this.#statements.scavenged.get()?.revision ?? 0;
    if (from >= compacted) return "done";
    try {
      this.flush();
    } catch (error) {
      return orFull(error);
    }
    const rows = this.#statements.hiding.all({ from, compacted, limit });
    const hidden = rows.flatMap((row) => [
      ...(row.previous > 0 ? [row.previous] : []),
      ...(row.deleted === 1 ? [row.revision] : []),
    ]);
    const upTo = rows.length < limit ? compacted : (rows.at(-1)?.revision ?? compacted);
    try {
      drizzle(this.#db).transaction((transaction) => {
        if (hidden.length > 0) {
          transaction.delete(history).where(inArray(history.revision, hidden)).run();
        }
        transaction.update(local).set({ scavengedRevision: upTo }).run();
      });
    } catch (error) {
      return orFull(error);
    }
    return upTo >= compacted ? "done" : "more";
  }

  /**
   * Gives free pages back to the file system, `pages` at most. "full": not now, because moving
   * them needs space.
   */
  vacuum(pages: number): "done" | "more" | "full" {
    const free = Number(this.#db.pragma("freelist_count", { simple: true }));
    try {
      if (free > 0) this.#db.pragma(`incremental_vacuum(${pages})`);
    } catch (error) {
      return orFull(error);
    }
    return free > pages ? "more" : "done";
  }
}

/** Tidying up waits for space; other errors are the caller's. */
function orFull(error: unknown): "full" {
  if (isSqliteFull(error)) return "full";
  throw error;
}

type RawRow = [number, string, number, number, number, number | null, Buffer | null];

function rowFrom(row: RawRow): HistoryRow {
  const value = row[6];
  return {
    revision: row[0] as Revision,
    key: row[1],
    createRevision: row[2] as Revision,
    version: row[3],
    previous: row[4] as Revision,
    lease: row[5] as LeaseId | null,
    value: value && new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  };
}

function rawRow(row: HistoryRow): unknown[] {
  const { revision, key, createRevision, version, previous, lease, value } = row;
  return [revision, key, createRevision, version, previous, lease, value];
}

/** In the order of the columns. */
function rawNumbers(numbers: ReplicatedNumbers): unknown[] {
  const { appliedIndex, appliedTerm, revision, compactedRevision } = numbers;
  const { featureLevel, nextLease } = numbers;
  return [appliedIndex, appliedTerm, revision, compactedRevision, featureLevel, nextLease];
}

/** Queries are built by drizzle from the schema; the hot ones then run without it. */
function prepare(db: SqliteConnection) {
  const orm = drizzle(db);
  const hole = sql.placeholder;
  const raw = (query: { toSQL(): { sql: string } }) => db.prepare(query.toSQL().sql);
  const insert = orm.insert(history).values({
    revision: hole("revision"),
    key: hole("key"),
    createRevision: hole("createRevision"),
    version: hole("version"),
    previous: hole("previous"),
    lease: hole("lease"),
    value: hole("value"),
  });
  const behind = gt(history.revision, hole("after"));
  const page = orm.select().from(history).where(behind).orderBy(asc(history.revision));
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    insert: raw(insert),
    page: raw(page.limit(hole("limit"))),
    row: raw(
      orm
        .select()
        .from(history)
        .where(eq(history.revision, hole("revision"))),
    ),
    present: raw(selectPresent(orm)),
    numbers: orm.select().from(replicated).prepare(),
    leases: orm.select().from(leases).prepare(),
    update: raw(
      orm.update(replicated).set({
        appliedIndex: sql`${hole("appliedIndex")}`,
        appliedTerm: sql`${hole("appliedTerm")}`,
        revision: sql`${hole("revision")}`,
        compactedRevision: sql`${hole("compactedRevision")}`,
        featureLevel: sql`${hole("featureLevel")}`,
        nextLease: sql`${hole("nextLease")}`,
      }),
    ),
    grant: orm
      .insert(leases)
      .values({ id: hole("id"), ttlMs: hole("ttlMs") })
      .prepare(),
    revoke: orm
      .delete(leases)
      .where(eq(leases.id, hole("id")))
      .prepare(),
    ...prepareRare(orm),
    hiding: orm
      .select({
        revision: history.revision,
        previous: history.previous,
        deleted: sql<number>`${history.value} is null`,
      })
      .from(history)
      .where(and(gt(history.revision, hole("from")), lte(history.revision, hole("compacted"))))
      .orderBy(asc(history.revision))
      .limit(hole("limit"))
      .prepare(),
  };
}

/** Statements of the rows that there is one of. */
function prepareRare(orm: ReturnType<typeof drizzle>) {
  const hole = sql.placeholder;
  return {
    group: orm.select().from(memberGroup).prepare(),
    regroup: orm
      .update(memberGroup)
      .set({ clusterId: sql`${hole("clusterId")}`, members: sql`${hole("members")}` })
      .prepare(),
    scavenged: orm
      .select({ revision: local.scavengedRevision, installedIndex: local.installedIndex })
      .from(local)
      .prepare(),
  };
}

/** Rows that no other row replaces or deletes. */
function selectPresent(orm: ReturnType<typeof drizzle>) {
  const replaced = orm
    .select({ previous: history.previous })
    .from(history)
    .where(sql`${history.previous} > 0`);
  return orm
    .select()
    .from(history)
    .where(sql`${history.value} is not null and ${history.revision} not in (${replaced})`);
}
