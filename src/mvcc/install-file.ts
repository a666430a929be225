import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";

/** Under this name a checked state of a peer waits for the old one to go. */
export function incomingFile(database: string): string {
  return `${database}.incoming`;
}

/**
 * Ends an install, or one that a crash interrupted: the old write-ahead log must be gone for good
 * before the new file has the state's name, or SQLite would play the one into the other. Blocks.
 */
export function finishInstall(database: string): void {
  const incoming = incomingFile(database);
  if (!existsSync(incoming)) return;
  for (const suffix of ["-wal", "-shm", "-journal"])
    rmSync(`${database}${suffix}`, { force: true });
  syncDirectory(dirname(database));
  renameSync(incoming, database);
  syncDirectory(dirname(database));
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
