import Database from "better-sqlite3";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { unreachable } from "../lib/index.ts";
import { PRIVATE_FILE } from "./private-file.ts";
import type { CheckpointOutcome } from "./state-storage.ts";

interface CheckpointRow {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

/** What {@link SqliteState} asks of its worker; one at a time. */
export type StateTask =
  | { readonly type: "checkpoint" }
  | { readonly type: "restart-wal" }
  | { readonly type: "snapshot"; readonly path: string };

export interface StateWorkerRequest {
  readonly database: string;
  readonly task: StateTask;
}

export type StateWorkerResponse =
  | { readonly type: "done"; readonly outcome: CheckpointOutcome }
  | { readonly type: "failed"; readonly message: string };

/** Writers wait while the log restarts: a foreign reader may not hold them up for longer. */
const BUSY_TIMEOUT_MS = 1_000;

declare const self: Worker;

if (!Bun.isMainThread) {
  self.addEventListener("message", (event: MessageEvent<StateWorkerRequest>) => {
    self.postMessage(answer(event.data), []);
  });
}

function answer(request: StateWorkerRequest): StateWorkerResponse {
  try {
    return { type: "done", outcome: runStateTask(request) };
  } catch (error) {
    return { type: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

/** Everything on the state file that waits for the disk. Blocks. */
export function runStateTask({ database, task }: StateWorkerRequest): CheckpointOutcome {
  const db = new Database(database, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
  try {
    db.pragma("wal_autocheckpoint = 0");
    db.pragma("synchronous = NORMAL");
    switch (task.type) {
      case "checkpoint":
        return checkpoint(db, "PASSIVE");
      case "restart-wal":
        return restart(db);
      case "snapshot":
        return snapshot(db, task.path);
      default:
        return unreachable(task);
    }
  } finally {
    db.close();
  }
}

function checkpoint(db: Database.Database, mode: "PASSIVE" | "TRUNCATE"): CheckpointOutcome {
  const rows = db.pragma(`wal_checkpoint(${mode})`) as CheckpointRow[];
  const row = rows[0];
  return row?.busy === 0 && row.log === row.checkpointed ? "complete" : "partial";
}

/** Empties the write-ahead log and makes its first write, which syncs the new header, here. */
function restart(db: Database.Database): CheckpointOutcome {
  const outcome = checkpoint(db, "TRUNCATE");
  if (outcome === "complete") db.exec("UPDATE local SET wal_starts = wal_starts + 1");
  return outcome;
}

function snapshot(db: Database.Database, path: string): CheckpointOutcome {
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  // SQLite fills an empty file, but would make one that everybody may read.
  closeSync(openSync(partial, "wx", PRIVATE_FILE));
  db.prepare("VACUUM INTO ?").run(partial);
  sync(partial);
  renameSync(partial, path);
  sync(dirname(path));
  return "complete";
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
