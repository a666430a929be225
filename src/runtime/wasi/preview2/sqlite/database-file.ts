import { fstatSync, lstatSync, readdirSync, readlinkSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { hostCode } from "../../host/errno.ts";
import { withResolvedPath } from "../../host/resolve-path.ts";
import type { VolumePlace } from "../filesystem/volume-place.ts";
import { ioError } from "./sqlite-error.ts";

/** Pages of 4 KiB: 1 GiB a database, then `database-full`. */
export const MAX_DATABASE_PAGES = 262_144;
/** Bytes of one string, blob or row. */
export const MAX_VALUE_BYTES = 8 * 1024 * 1024;
export const MAX_STATEMENT_BYTES = 1024 * 1024;
export const MAX_PARAMETERS = 32_766;
/** What a write-ahead log keeps on the disk once it was written back. */
const MAX_JOURNAL_BYTES = 16 * 1024 * 1024;

/** With `-wal` behind it a name that file systems take, with `-journal` one that they do not. */
const FILE_NAME_BYTES = 250;
const PADDING = "~";
const MAX_ATTEMPTS = 3;
const NO_FILE = "the database's path names no regular file";
const DATABASE_OPTIONS = {
  allowExtension: false,
  defensive: true,
  enableDoubleQuotedStringLiterals: false,
  readBigInts: true,
  timeout: 0,
  limits: {
    length: MAX_VALUE_BYTES,
    sqlLength: MAX_STATEMENT_BYTES,
    variableNumber: MAX_PARAMETERS,
  },
} as const;

/** What a guest may ask or set; others reach beyond its database, or its bounds. */
const PRAGMAS = new Set(
  `application_id auto_vacuum case_sensitive_like collation_list compile_options data_version
   defer_foreign_keys encoding foreign_key_check foreign_key_list foreign_keys freelist_count
   function_list ignore_check_constraints incremental_vacuum index_info index_list index_xinfo
   integrity_check module_list optimize page_count page_size pragma_list quick_check
   recursive_triggers reverse_unordered_selects schema_version synchronous table_info table_list
   table_xinfo user_version wal_checkpoint`
    .trim()
    .split(/\s+/),
);
/** Of those, what is asked with a value and sets nothing for the connection. */
const QUESTIONS = /_(info|xinfo|list|check)$|^(optimize|wal_checkpoint|incremental_vacuum)$/;
/** What an authorizer is asked about, by SQLite's numbers. */
const ACTION = { pragma: 19, attach: 24 } as const;
const TEMPORARY: ReadonlySet<number> = new Set([3, 4, 5, 6]);
/** Delete, insert, update. */
const WRITES: ReadonlySet<number> = new Set([9, 18, 23]);
const VERDICT = { ok: 0, deny: 1 } as const;

/**
 * An open database in a guest's volume. SQLite opens files by their paths, so that the path is
 * made of a directory that was reached as any path of the guest is, and it is checked afterwards
 * that what was opened lies there. Write-ahead logging keeps all files open from then on: whoever
 * swaps a directory for a link later redirects nothing.
 */
export class DatabaseFile {
  readonly database: DatabaseSync;
  /** A temporary table or a setting stays behind: nobody else may get this connection. */
  #marked = false;
  /** The statement that was prepared last changes something. */
  #writes = false;
  /** Only VACUUM attaches a database by itself, one without a name. */
  #vacuuming = false;

  /** Throws what SQLite or the system says. */
  constructor(place: VolumePlace) {
    this.database = openPlace(place);
    this.database.setAuthorizer((action, first, second) =>
      this.#authorize(action, first, second) ? VERDICT.ok : VERDICT.deny,
    );
  }

  /** Prepares a statement; `writes` tells whether it changes anything. */
  prepare(sql: string) {
    this.#writes = false;
    this.#vacuuming = /^\s*vacuum\b/i.test(sql);
    const statement = this.database.prepare(sql);
    statement.setReturnArrays(true);
    return { statement, writes: this.#writes };
  }

  /** Ends what the last user left open; false when the connection cannot be used again. */
  reset(): boolean {
    if (this.database.isTransaction) this.database.exec("ROLLBACK");
    return !this.#marked;
  }

  close(): void {
    this.database.close();
  }

  #authorize(action: number, first: string | null, second: string | null): boolean {
    if (action === ACTION.attach) return this.#vacuuming && (first ?? "") === "";
    if (TEMPORARY.has(action)) this.#marked = true;
    if (WRITES.has(action)) this.#writes = true;
    if (action !== ACTION.pragma) return true;
    const name = (first ?? "").toLowerCase();
    if (second !== null && !QUESTIONS.test(name)) this.#marked = true;
    return PRAGMAS.has(name);
  }
}

/** What is opened by another thread meanwhile looks as if it were SQLite's: then once more. */
function openPlace({ root, path }: VolumePlace): DatabaseSync {
  for (let attempt = 1; ; attempt++) {
    try {
      return withResolvedPath(root.fd, path, { follow: false }, openAt);
    } catch (error) {
      if (!(error instanceof StrangeFile)) throw error;
      if (attempt >= MAX_ATTEMPTS) throw ioError(error.message);
    }
  }
}

/** A file was opened that is none of the database's. */
class StrangeFile extends Error {}

function openAt({ hostPath, wantsDirectory }: { hostPath: string; wantsDirectory: boolean }) {
  const directory = dirname(hostPath);
  const name = fileNameOf(directory, basename(hostPath));
  const before = lstatSync(join(directory, name), { throwIfNoEntry: false });
  if (wantsDirectory || (before !== undefined && !before.isFile())) {
    throw ioError(NO_FILE);
  }
  const open = new Set(openFileNumbers());
  const path = readlinkSync(directory);
  // Loaded by whoever has a database: it takes a megabyte of each process that has it.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
  const database = new DatabaseSync(join(path, name), DATABASE_OPTIONS);
  try {
    // Before anything is done to the file: it could be another one than it seemed.
    checkIdentity(directory, name, open);
    // What is sorted or kept for a while goes to files in the volume, without names, and neither
    // into the worker's memory nor to the node's own disk.
    database.exec(`PRAGMA temp_store = FILE; PRAGMA temp_store_directory = '${quoted(path)}';
      PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
      PRAGMA max_page_count = ${MAX_DATABASE_PAGES}`);
    // A change of mode is a change of the file: there can be no journal of it but in memory.
    if (!isWriteAhead(database)) database.exec("PRAGMA journal_mode = MEMORY");
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ${MAX_JOURNAL_BYTES}`);
    if (!isWriteAhead(database)) throw ioError("the database has no write-ahead log");
    // Reading opens what is left to open.
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    checkIdentity(directory, name, open);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function isWriteAhead(database: DatabaseSync): boolean {
  const [mode] = Object.values(database.prepare("PRAGMA journal_mode").get() ?? {});
  return mode === "wal";
}

/**
 * The name of a database's file: padded, so that the name of its write-ahead log fits into a
 * directory, and that of a rollback journal does not. Guests write to the directory, and a journal
 * can name any file of the machine, which SQLite deletes when it is done with that journal.
 * A file of the plain name, such as an init container has made, is taken over.
 */
function fileNameOf(directory: string, plain: string): string {
  const padding = FILE_NAME_BYTES - Buffer.byteLength(plain);
  if (padding < 0) throw ioError(`the database's name is longer than ${FILE_NAME_BYTES} bytes`);
  const name = plain + PADDING.repeat(padding);
  if (canExist(join(directory, `${name}-journal`))) {
    throw ioError("the volume's file system takes names so long that no database is safe there");
  }
  const made = lstatSync(join(directory, plain), { throwIfNoEntry: false });
  if (made !== undefined && !made.isFile()) throw ioError(NO_FILE);
  const taken = lstatSync(join(directory, name), { throwIfNoEntry: false }) !== undefined;
  if (!taken && made !== undefined) renameSync(join(directory, plain), join(directory, name));
  return name;
}

function canExist(path: string): boolean {
  try {
    lstatSync(path, { throwIfNoEntry: false });
    return true;
  } catch (error) {
    if (hostCode(error) === "ENAMETOOLONG") return false;
    throw error;
  }
}

/** Throws when a file that was just opened is not one of this database, in this directory. */
function checkIdentity(directory: string, name: string, before: ReadonlySet<number>): void {
  const own = [name, `${name}-wal`, `${name}-shm`].flatMap((one) => {
    const stats = lstatSync(join(directory, one), { bigint: true, throwIfNoEntry: false });
    return stats?.isFile() === true ? [`${stats.dev} ${stats.ino}`] : [];
  });
  for (const number of openFileNumbers()) {
    if (before.has(number)) continue;
    const identity = fileIdentity(number);
    if (identity === undefined || own.includes(identity)) continue;
    throw new StrangeFile("the database's directory was moved while it was opened");
  }
}

function quoted(text: string): string {
  return text.replaceAll("'", "''");
}

function openFileNumbers(): number[] {
  return readdirSync("/proc/self/fd").map(Number);
}

/** Undefined for what is no regular file, or was closed meanwhile. */
function fileIdentity(number: number): string | undefined {
  try {
    const stats = fstatSync(number, { bigint: true });
    return stats.isFile() ? `${stats.dev} ${stats.ino}` : undefined;
  } catch {
    return undefined; // The listing of descriptors has one itself, closed by now.
  }
}
