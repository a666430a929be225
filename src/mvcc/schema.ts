import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * Every change since the last compaction, and the last change of every living key. Rows are only
 * appended, so that a put costs little more than its own bytes in the write-ahead log: there is no
 * second index, because the present is in memory and the past is the present with changes undone.
 */
export const history = sqliteTable("history", {
  revision: integer("revision").primaryKey(),
  key: text("key").notNull(),
  createRevision: integer("create_revision").notNull(),
  version: integer("version").notNull(),
  /** Revision of the value this row replaces or deletes; 0 when there was none. */
  previous: integer("previous").notNull(),
  lease: integer("lease"),
  /** Absent in a delete. */
  value: blob("value", { mode: "buffer" }),
});

export const leases = sqliteTable("leases", {
  id: integer("id").primaryKey(),
  ttlMs: integer("ttl_ms").notNull(),
});

/** One row (id 1), written with every log entry: what is the same on every replica. */
export const replicated = sqliteTable("replicated", {
  id: integer("id").primaryKey(),
  appliedIndex: integer("applied_index").notNull(),
  appliedTerm: integer("applied_term").notNull(),
  revision: integer("revision").notNull(),
  compactedRevision: integer("compacted_revision").notNull(),
  featureLevel: integer("feature_level").notNull(),
  nextLease: integer("next_lease").notNull(),
});

/** One row (id 1): the servers that replicate the state, and what their group is called. */
export const memberGroup = sqliteTable("member_group", {
  id: integer("id").primaryKey(),
  /** Empty until the first config entry of the log. */
  clusterId: text("cluster_id").notNull(),
  /** As the store encodes them; opaque here. */
  members: blob("members", { mode: "buffer" }).notNull(),
});

/** One row (id 1): what belongs to this file alone and is no part of the state. */
export const local = sqliteTable("local", {
  id: integer("id").primaryKey(),
  /** Rows that compaction made unreachable are deleted up to this revision. */
  scavengedRevision: integer("scavenged_revision").notNull(),
  /** Grows when the write-ahead log starts anew; see DESIGN.md, "Checkpoints". */
  walStarts: integer("wal_starts").notNull(),
  /** Applied index at which this file was taken over from a peer; 0 when it grew here. */
  installedIndex: integer("installed_index").notNull().default(0),
});
