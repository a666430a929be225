import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { migrate } from "drizzle-orm/better-sqlite3/migrator";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { PRIVATE_FILE } from "./private-file.ts";

export type SqliteConnection = Database.Database;

/** "KubS": marks a SQLite file as a state of ours. */
const APPLICATION_ID = 0x4b756253;
const MEMORY = ":memory:";
const MIGRATIONS = join(import.meta.dir, "../../migrations");
/** Only the moment at which the worker restarts the write-ahead log can make a writer wait. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * Opens, or creates and migrates, a state file (or an image of one in memory).
 * WAL with synchronous=NORMAL: a power cut may take the last commits, which the log then replays.
 * Checkpoints happen when the store says so, and never on this connection.
 *
 * @throws Error when the file is no state of Kubun, or of a newer version.
 */
export function openDatabase(pathOrImage: string | Buffer): SqliteConnection {
  if (typeof pathOrImage === "string" && pathOrImage !== MEMORY && !existsSync(pathOrImage)) {
    // SQLite gives its side files the mode of the main one.
    closeSync(openSync(pathOrImage, "wx", PRIVATE_FILE));
  }
  const db = new Database(pathOrImage, { timeout: BUSY_TIMEOUT_MS });
  try {
    configure(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function configure(db: SqliteConnection): void {
  const applicationId = Number(db.pragma("application_id", { simple: true }));
  const tables = db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get();
  // A crash before the file was marked leaves one of a page, which says nothing yet.
  const empty = applicationId === 0 && tables === 0;
  if (!empty && applicationId !== APPLICATION_ID) {
    throw new Error(`${db.name} is a SQLite file, but no Kubun state (id ${applicationId})`);
  }
  if (empty) {
    db.pragma("auto_vacuum = INCREMENTAL");
    db.pragma(`application_id = ${APPLICATION_ID}`);
  }
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = NORMAL");
  db.pragma("wal_autocheckpoint = 0");
  db.pragma("temp_store = MEMORY");
  migrate(drizzle(db), { migrationsFolder: MIGRATIONS });
}
