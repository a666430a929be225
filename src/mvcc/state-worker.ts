import Database from "better-sqlite3";
import { unreachable } from "../lib/index.ts";
import { isSqliteFull, StateFileError } from "./state-error.ts";
import type { CheckpointOutcome, StatePoint } from "./state-storage.ts";

/** What SQLite answers to a `wal_checkpoint`: lengths in pages, -1 without a write-ahead log. */
export interface CheckpointRow {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

/** What {@link SqliteState} asks of its worker; one at a time. */
export type StateTask =
  | { readonly type: "checkpoint" }
  | { readonly type: "restart-wal" }
  | { readonly type: "snapshot"; readonly path: string }
  /** Verifies a peer's file and marks it as installed. */
  | { readonly type: "check"; readonly path: string }
  /** Keeps a connection, so that closing the owner's does not checkpoint on the event loop. */
  | { readonly type: "hold" }
  /** Gives that connection up and puts the checked file in the state's place. */
  | { readonly type: "replace"; readonly path: string };

export type StateTaskResult =
  | { readonly type: "checkpoint"; readonly outcome: CheckpointOutcome }
  | { readonly type: "point"; readonly point: StatePoint }
  | { readonly type: "done" };

export interface StateWorkerRequest {
  readonly database: string;
  readonly task: StateTask;
}

export type StateWorkerResponse =
  | { readonly type: "done"; readonly result: StateTaskResult }
  | {
      readonly type: "failed";
      readonly reason: "full" | "state-file" | "other";
      readonly message: string;
    };

/** Writers wait while the log restarts: a foreign reader may not hold them up for longer. */
const BUSY_TIMEOUT_MS = 1_000;

declare const self: Worker;

if (!Bun.isMainThread) {
  const held: Held = { db: undefined };
  self.addEventListener("message", (event: MessageEvent<StateWorkerRequest>) => {
    void answer(event.data, held).then((response) => self.postMessage(response, []));
  });
}

/** What the worker keeps between two tasks. */
interface Held {
  db: Database.Database | undefined;
}

async function answer(request: StateWorkerRequest, held: Held): Promise<StateWorkerResponse> {
  try {
    return { type: "done", result: await runStateTask(request, held) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (isSqliteFull(error)) return { type: "failed", reason: "full", message };
    const reason = error instanceof StateFileError ? "state-file" : "other";
    return { type: "failed", reason, message };
  }
}

/**
 * Everything on the state file that waits for the disk. Blocks. What only whole files need is
 * loaded when one comes: a worker that checkpoints is smaller without it.
 */
async function runStateTask(request: StateWorkerRequest, held: Held): Promise<StateTaskResult> {
  const { database, task } = request;
  switch (task.type) {
    case "checkpoint":
      return { type: "checkpoint", outcome: onState(database, checkpointPassively) };
    case "restart-wal":
      return { type: "checkpoint", outcome: onState(database, restart) };
    case "snapshot": {
      const { snapshotState } = await import("./state-file-tasks.ts");
      return { type: "point", point: onState(database, (db) => snapshotState(db, task.path)) };
    }
    case "check": {
      const { checkIncoming } = await import("./state-file-tasks.ts");
      return { type: "point", point: checkIncoming(task.path) };
    }
    case "hold":
      held.db = new Database(database, { fileMustExist: true });
      // A connection that has read nothing does not count yet.
      held.db.pragma("wal_autocheckpoint = 0");
      held.db.prepare("SELECT id FROM local").get();
      return { type: "done" };
    case "replace": {
      const { replaceState } = await import("./state-file-tasks.ts");
      held.db?.close();
      held.db = undefined;
      replaceState(database, task.path);
      return { type: "done" };
    }
    default:
      return unreachable(task);
  }
}

function onState<Result>(path: string, work: (db: Database.Database) => Result): Result {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
  try {
    db.pragma("wal_autocheckpoint = 0");
    db.pragma("synchronous = NORMAL");
    return work(db);
  } finally {
    db.close();
  }
}

function checkpointPassively(db: Database.Database): CheckpointOutcome {
  return checkpoint(db, "PASSIVE");
}

/**
 * A checkpoint that finds no space has synced the write-ahead log and lost nothing of it: pages it
 * did move are moved again by the next one.
 */
function checkpoint(db: Database.Database, mode: "PASSIVE" | "TRUNCATE"): CheckpointOutcome {
  try {
    const rows = db.pragma(`wal_checkpoint(${mode})`) as CheckpointRow[];
    const row = rows[0];
    return row?.busy === 0 && row.log === row.checkpointed ? "complete" : "partial";
  } catch (error) {
    if (isSqliteFull(error)) return "full";
    throw error;
  }
}

/** Empties the write-ahead log and makes its first write, which syncs the new header, here. */
function restart(db: Database.Database): CheckpointOutcome {
  const outcome = checkpoint(db, "TRUNCATE");
  if (outcome !== "complete") return outcome;
  try {
    db.exec("UPDATE local SET wal_starts = wal_starts + 1");
    return outcome;
  } catch (error) {
    if (isSqliteFull(error)) return "full";
    throw error;
  }
}
