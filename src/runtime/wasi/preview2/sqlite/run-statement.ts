import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { HostClock } from "../../host/host-clock.ts";
import type { DatabaseFile } from "./database-file.ts";
import { ioError } from "./sqlite-error.ts";

/** Rows of one result. */
export const MAX_RESULT_ROWS = 65_536;
/** Bytes of one result, counted as {@link bytesOf} does. */
export const MAX_RESULT_BYTES = 8 * 1024 * 1024;
/** From the first row to the last; looked at between rows. */
export const STATEMENT_TIMEOUT_MS = 10_000;
const ROWS_PER_LOOK = 64;
const VALUE_BYTES = 16;

/** `value` of fermyon:spin/sqlite. */
export type SqliteValue =
  | { readonly tag: "integer"; readonly val: bigint }
  | { readonly tag: "real"; readonly val: number }
  | { readonly tag: "text"; readonly val: string }
  | { readonly tag: "blob"; readonly val: Uint8Array }
  | { readonly tag: "null" };

/** `query-result`. */
export interface QueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly { readonly values: readonly SqliteValue[] }[];
}

/** Runs one statement to its end. Throws SqliteError for our bounds, and what SQLite throws. */
export function runStatement(
  file: DatabaseFile,
  clock: HostClock,
  sql: string,
  parameters: readonly SqliteValue[],
): QueryResult {
  if (isBlank(sql)) return { columns: [], rows: [] };
  const { statement, writes } = file.prepare(sql);
  if (!isBlank(sql.slice(statement.sourceSQL.length))) {
    throw ioError("more than one statement was given: execute takes one");
  }
  const columns = statement.columns().map(({ name }) => name);
  const bound = parameters.map(inputOf);
  const read = () => readRows(statement.iterate(...bound) as Iterable<SQLOutputValue[]>, clock);
  // A result that is refused in the middle must not leave half of a change behind.
  const rows = writes && columns.length > 0 ? undoable(file, read) : read();
  return { columns, rows };
}

function readRows(found: Iterable<SQLOutputValue[]>, clock: HostClock): QueryResult["rows"] {
  const deadlineNs = clock.monotonicNs() + BigInt(STATEMENT_TIMEOUT_MS) * 1_000_000n;
  const rows: { values: SqliteValue[] }[] = [];
  let bytes = 0;
  for (const row of found) {
    if (rows.length >= MAX_RESULT_ROWS) throw tooLarge(`${MAX_RESULT_ROWS} rows`);
    const values = row.map(outputOf);
    for (const value of values) bytes += bytesOf(value);
    if (bytes > MAX_RESULT_BYTES) throw tooLarge(`${MAX_RESULT_BYTES} bytes`);
    rows.push({ values });
    if (rows.length % ROWS_PER_LOOK === 0 && clock.monotonicNs() > deadlineNs) {
      throw ioError(`the statement took longer than ${STATEMENT_TIMEOUT_MS} ms`);
    }
  }
  return rows;
}

function undoable<Result>({ database }: DatabaseFile, run: () => Result): Result {
  database.exec("SAVEPOINT kubun_result");
  try {
    const result = run();
    database.exec("RELEASE kubun_result");
    return result;
  } catch (error) {
    // Some errors have undone the whole transaction already.
    if (database.isTransaction) {
      database.exec("ROLLBACK TO kubun_result");
      database.exec("RELEASE kubun_result");
    }
    throw error;
  }
}

function tooLarge(limit: string) {
  return ioError(`the result has more than ${limit}: ask for less with LIMIT`);
}

function inputOf(value: SqliteValue): SQLInputValue {
  return value.tag === "null" ? null : value.val;
}

function outputOf(value: SQLOutputValue): SqliteValue {
  if (value === null) return { tag: "null" };
  if (typeof value === "bigint") return { tag: "integer", val: value };
  if (typeof value === "number") return { tag: "real", val: value };
  if (typeof value === "string") return { tag: "text", val: value };
  return { tag: "blob", val: value };
}

/** What a value takes in the guest: its place in the row, and its characters or bytes. */
function bytesOf(value: SqliteValue): number {
  if (value.tag === "text" || value.tag === "blob") return VALUE_BYTES + value.val.length;
  return VALUE_BYTES;
}

/** Nothing but white space, comments and semicolons. */
function isBlank(sql: string): boolean {
  for (let at = 0; at < sql.length;) {
    if (sql.startsWith("--", at)) at = behind(sql, "\n", at);
    else if (sql.startsWith("/*", at)) at = behind(sql, "*/", at + 2);
    else if (/[\s;]/.test(sql.charAt(at))) at++;
    else return false;
  }
  return true;
}

/** Where the text goes on behind an end; at its own end when that is missing. */
function behind(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found < 0 ? text.length : found + end.length;
}
