import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/**
 * Replaces a small file as a whole: a reader sees the old text or the new one, never a part.
 * @throws the system's error, its message beginning with the path
 */
export function writeFileAtomically(path: string, text: string, options: { mode: number }): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeSynced(temporary, text, options.mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    // A write names no file by itself: "ENOSPC: no space left on device, write".
    if (error instanceof Error) error.message = `${path}: ${error.message}`;
    throw error;
  }
}

function writeSynced(path: string, text: string, mode: number): void {
  const descriptor = openSync(path, "w", mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
