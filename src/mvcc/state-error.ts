/** No space to write the state. Nothing of the attempt counts; it may be repeated later. */
export class StateFullError extends Error {
  override readonly name = "StateFullError";
  /** As of the operating system's error, so that one check finds both. */
  readonly code = "ENOSPC";
}

/** A file is no sound state of Kubun, or not one that this version can take over. */
export class StateFileError extends Error {
  override readonly name = "StateFileError";
}

/**
 * Whether SQLite found no space. SQLITE_FULL comes from a write, never from a sync, and the
 * transaction around it is undone; SHMSIZE is about the index of the write-ahead log, which is
 * nothing durable. Every other error leaves unknown what is on the medium.
 */
export function isSqliteFull(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const { code } = error;
  return code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE" || code === "ENOSPC";
}
