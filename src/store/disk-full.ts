/** What the operating system and SQLite say when there is no space, or no more for this user. */
const FULL_CODES: readonly unknown[] = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];

/** Whether an error means that waiting for space may mend it; every other one is final. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && FULL_CODES.includes(error.code);
}
