import { hostCode, WasiError } from "../../host/errno.ts";
import { GuestError } from "../io/guest-error.ts";

/** `error` of fermyon:spin/sqlite. */
export type SqliteErrorValue =
  | { readonly tag: "no-such-database" | "access-denied" | "invalid-connection" | "database-full" }
  | { readonly tag: "io"; readonly val: string };

export class SqliteError extends GuestError<SqliteErrorValue> {}

/** SQLite's result codes, as far as they mean something to us. */
const CODE = { busy: 5, locked: 6, full: 13 } as const;
/** A reader of an old snapshot wants to write: waiting does not help it. */
const BUSY_SNAPSHOT = 517;
const PRIMARY_CODE = 0xff;

export function ioError(why: string): SqliteError {
  return new SqliteError({ tag: "io", val: why });
}

/** Somebody else has the lock, and may give it up. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  if (code === undefined || code === BUSY_SNAPSHOT) return false;
  const primary = code & PRIMARY_CODE;
  return primary === CODE.busy || primary === CODE.locked;
}

/** The guest's error for what SQLite or the system threw; anything else comes out as it is. */
export function sqliteError(error: unknown): unknown {
  if (error instanceof SqliteError) return error;
  const code = resultCode(error);
  if (code !== undefined && (code & PRIMARY_CODE) === CODE.full) {
    return new SqliteError({ tag: "database-full" });
  }
  if (error instanceof WasiError) return ioError("the database's path leads nowhere");
  const system = code !== undefined || hostCode(error) !== undefined;
  return system ? ioError((error as Error).message) : error;
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}
