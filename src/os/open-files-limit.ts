import { readFileSync } from "node:fs";

/** What POSIX grants at least, for where it cannot be read. */
const COMMON_LIMIT = 1024;

/** How many descriptors this process may have open. */
export function openFilesLimit(): number {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch {
    return COMMON_LIMIT; // No /proc: not Linux.
  }
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? COMMON_LIMIT);
}
