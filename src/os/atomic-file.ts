import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** Replaces a small file as a whole: a reader sees the old text or the new one, never a part. */
export function writeFileAtomically(path: string, text: string, options: { mode: number }): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const descriptor = openSync(temporary, "w", options.mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
}
