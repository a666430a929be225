import { existsSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { logFiles } from "../log-files.ts";

/** As a kubelet rotates: 10 MiB a file, five files in all. */
export const MAX_LOG_FILE_BYTES = 10 * 1024 * 1024;
/** A program that floods its log between two looks keeps the beginning of that, and no more. */
const MAX_ROTATED_BYTES = 4 * MAX_LOG_FILE_BYTES;

/**
 * Moves a log that has grown too large out of the way. True: whoever writes it must open it again,
 * because it still writes to the file that was moved.
 */
export function rotateLog(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= MAX_LOG_FILE_BYTES) return false;
  const [oldest, ...others] = logFiles(path);
  if (oldest !== undefined) rmSync(oldest, { force: true });
  let target = oldest;
  for (const file of others) {
    if (target !== undefined && existsSync(file)) renameSync(file, target);
    target = file;
  }
  return true;
}

/** To be called once nobody writes to the moved file any more. */
export function trimRotated(path: string): void {
  const moved = logFiles(path).at(-2);
  const size = moved === undefined ? 0 : (statSync(moved, { throwIfNoEntry: false })?.size ?? 0);
  if (moved !== undefined && size > MAX_ROTATED_BYTES) truncateSync(moved, MAX_ROTATED_BYTES);
}
