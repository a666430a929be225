import type { HistoryChanges, HistoryRow, ReplicatedNumbers } from "./history.ts";
import type { Revision } from "./model.ts";

/** How much may be applied in memory before it is written to the file, all in one transaction. */
export interface PendingLimits {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * A transaction rewrites the file's last pages, 12 KiB for a put of 1 KiB: shared by so many
 * entries, that is 2 KiB a put. Twice as many would save 0.3 KiB, and hold up twice as long the put
 * that writes them: 0.2 ms.
 */
export const PENDING_LIMITS: PendingLimits = { entries: 32, bytes: 64 * 1024 };

/** What a row takes beside its key and value, roughly. */
const ROW_BYTES = 64;

/** What one log entry changed, and the state's numbers behind it. */
export interface PendingEntry {
  readonly changes: HistoryChanges;
  readonly numbers: ReplicatedNumbers;
}

/** Entries that are applied in memory and not in the file yet; the log has them. */
export class PendingEntries {
  readonly #limits: PendingLimits;
  #entries: PendingEntry[] = [];
  /** Of all entries; revisions rise by one from row to row. */
  #rows: HistoryRow[] = [];
  #bytes = 0;

  constructor(limits: PendingLimits = PENDING_LIMITS) {
    this.#limits = limits;
  }

  get entries(): readonly PendingEntry[] {
    return this.#entries;
  }

  /** Whether one more may wait, too; who brings the group's members does not. */
  hasRoomFor({ changes }: PendingEntry): boolean {
    const { entries, bytes } = this.#limits;
    const fits = this.#bytes + bytesOf(changes) < bytes && this.#entries.length + 1 < entries;
    return fits && changes.group === undefined;
  }

  add(entry: PendingEntry): void {
    this.#entries.push(entry);
    for (const row of entry.changes.rows) this.#rows.push(row);
    this.#bytes += bytesOf(entry.changes);
  }

  clear(): void {
    this.#entries = [];
    this.#rows = [];
    this.#bytes = 0;
  }

  /** Rows behind a revision, oldest first. */
  page(after: Revision, limit: number): HistoryRow[] {
    const first = this.#rows[0]?.revision ?? 0;
    const from = Math.max(0, after + 1 - first);
    return this.#rows.slice(from, from + limit);
  }

  row(revision: Revision): HistoryRow | undefined {
    return this.#rows[revision - (this.#rows[0]?.revision ?? 0)];
  }
}

function bytesOf({ rows }: HistoryChanges): number {
  let bytes = 0;
  for (const { key, value } of rows) bytes += ROW_BYTES + key.length + (value?.length ?? 0);
  return bytes;
}
