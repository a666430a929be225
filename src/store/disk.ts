/**
 * Files as the store needs them, so that the simulation can lose, tear and refuse writes under the
 * real code. Nothing here may block the event loop. Errors are the operating system's, with a
 * `code` ("ENOSPC", "EIO", "ENOENT", …).
 */
export interface Disk {
  /** Names in a directory, sorted; empty when there is no such directory. */
  list(directory: string): Promise<readonly string[]>;
  /** Makes the directory and its parents; fine when it exists. */
  makeDirectory(directory: string): Promise<void>;
  /** Opens for reading and writing, creating the file when it is missing. */
  open(path: string): Promise<DiskFile>;
  /** Replaces `to` atomically; durable after syncDirectory. */
  rename(from: string, to: string): Promise<void>;
  /** Durable after syncDirectory. */
  remove(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(directory: string): Promise<void>;
  /**
   * Takes the directory for this process. The lock dies with the process, however it ends.
   * @throws Error naming the directory and, if known, the pid of its holder.
   */
  lock(directory: string): Promise<DirectoryLock>;
}

export interface DiskFile {
  size(): Promise<number>;
  /** Up to `length` bytes from `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Resolves when these bytes are on the medium. A rejection leaves unknown what is there: it is
   * fatal, never retried, unless it says that the disk is full (see isDiskFull).
   */
  writeDurably(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the file end here, durably; a rejection is as final as of a write. */
  cutDurably(size: number): Promise<void>;
  /** Makes durable what an earlier process wrote; a rejection is as final as of a write. */
  datasync(): Promise<void>;
  close(): Promise<void>;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

/** No space for this write. Nothing of it counts, and it may be tried again when there is space. */
export class DiskFullError extends Error {
  override readonly name = "DiskFullError";
  readonly code = "ENOSPC";
}

/** Whether an error of the operating system means that there is no space, or none for this user. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}
