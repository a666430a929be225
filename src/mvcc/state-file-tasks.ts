import Database from "better-sqlite3";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { openDatabase } from "./database.ts";
import { History } from "./history.ts";
import { finishInstall, incomingFile } from "./install-file.ts";
import { PRIVATE_FILE } from "./private-file.ts";
import { isSqliteFull, StateFileError } from "./state-error.ts";
import { checkStateFile, readStatePoint } from "./state-point.ts";
import type { StatePoint } from "./state-storage.ts";
import type { WritebackRequest } from "./writeback-worker.ts";

/** The point is read from the copy: what it holds is decided when the copying begins. */
export function snapshotState(db: Database.Database, path: string): StatePoint {
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  // SQLite fills an empty file, but would make one that everybody may read.
  closeSync(openSync(partial, "wx", PRIVATE_FILE));
  const endWriteback = beginWriteback(partial);
  try {
    db.prepare("VACUUM INTO ?").run(partial);
    endWriteback();
    const point = pointOf(partial);
    sync(partial);
    renameSync(partial, path);
    sync(dirname(path));
    return point;
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    endWriteback();
  }
}

/** In a thread of its own: this one is inside a single statement until the copy is complete. */
function beginWriteback(path: string): () => void {
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const worker = new Worker(new URL("./writeback-worker.ts", import.meta.url), { smol: true });
  const request: WritebackRequest = { path, stop };
  worker.postMessage(request, []);
  return () => {
    Atomics.store(stop, 0, 1);
    Atomics.notify(stop, 0);
    worker.terminate();
  };
}

/** Reads the whole file. It is migrated, marked and synced before anything is given up for it. */
export function checkIncoming(path: string): StatePoint {
  try {
    return openIncoming(path);
  } catch (error) {
    if (error instanceof StateFileError || isSqliteFull(error)) throw error;
    throw new StateFileError(`state file ${path}: ${String(error)}`, { cause: error });
  }
}

function openIncoming(path: string): StatePoint {
  const db = openDatabase(path);
  let point: StatePoint;
  try {
    point = checkStateFile(db);
    new History(db).markInstalled(point.appliedIndex);
    db.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
  sync(path);
  return point;
}

/** The second name is the decision: from then on the old state counts for nothing. */
export function replaceState(database: string, path: string): void {
  renameSync(path, incomingFile(database));
  sync(dirname(database));
  finishInstall(database);
}

function pointOf(path: string): StatePoint {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    return readStatePoint(db);
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
