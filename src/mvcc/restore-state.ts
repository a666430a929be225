import Database from "better-sqlite3";
import { chmodSync, copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { openDatabase } from "./database.ts";
import { History } from "./history.ts";
import type { Revision } from "./model.ts";
import { PRIVATE_FILE } from "./private-file.ts";

/** No client of the lost state can have seen a revision so far ahead. */
export const RESTORE_REVISION_BUMP = 1_000_000_000;

/**
 * Makes a state file from a snapshot. Revisions go on far behind those of the snapshot, and all of
 * the past is compacted: a watcher that saw what the snapshot does not hold must list anew, and no
 * revision is ever given out twice. The group of the lost servers is forgotten: the state begins a
 * new one. Blocks: for a process of its own, before a store is open.
 *
 * @throws Error when there is a state already, or the snapshot is damaged or of something else
 */
export function restoreState(snapshot: string, path: string): { readonly revision: Revision } {
  if (existsSync(path)) throw new Error(`${path} exists: restore into an empty data directory`);
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  copyFileSync(snapshot, partial);
  chmodSync(partial, PRIVATE_FILE);
  try {
    checkIntegrity(partial, snapshot);
    const revision = bumpRevision(partial);
    renameSync(partial, path);
    return { revision };
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function bumpRevision(path: string): Revision {
  const db = openDatabase(path);
  try {
    const history = new History(db);
    const numbers = history.numbers();
    numbers.revision = (numbers.revision + RESTORE_REVISION_BUMP) as Revision;
    numbers.compactedRevision = numbers.revision;
    // Whoever replicated the lost state is no part of what begins here.
    const group = { clusterId: "", members: new Uint8Array() };
    history.add({ rows: [], granted: [], revoked: [], group }, numbers);
    db.pragma("wal_checkpoint(TRUNCATE)");
    return numbers.revision;
  } finally {
    db.close();
  }
}

function checkIntegrity(path: string, snapshot: string): void {
  const db = new Database(path, { fileMustExist: true });
  try {
    const verdict = String(db.pragma("quick_check(1)", { simple: true }));
    if (verdict !== "ok") throw new Error(`snapshot ${snapshot} is damaged: ${verdict}`);
  } finally {
    db.close();
  }
}
