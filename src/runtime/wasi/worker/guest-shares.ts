import { readFileSync } from "node:fs";
import type { GuestLimits } from "../host/guest-limits.ts";

/** Descriptors of a process that are its own, or go to listeners, logs and files being opened. */
const RESERVED_DESCRIPTORS = 256;
/** Listeners of its ports, its log, and what a path is looked up with. */
const DESCRIPTORS_OF_A_GUEST = 8;
const LEAST_SHARE = 8;
const MOST_SHARE = 1024;
/** Bytes the connections of one of several guests may hold. */
export const SHARED_RECEIVE_BUDGET = 1024 * 1024;
/** What POSIX grants at least, for where it cannot be read. */
const COMMON_OPEN_FILES = 256;

/**
 * What each guest of a process may have, so that all of them together stay within the process's
 * own limit of open files: one that takes all it can get takes nothing from its neighbours.
 */
export function guestShare(capacity: number, openFiles = openFilesLimit()): GuestLimits {
  const each = (openFiles - RESERVED_DESCRIPTORS) / capacity - DESCRIPTORS_OF_A_GUEST;
  // Connections that wait for their accept are no descriptors of the guest yet.
  const share = Math.min(Math.max(Math.floor(each / 2), LEAST_SHARE), MOST_SHARE);
  return { descriptors: share, connections: share, receiveBytes: SHARED_RECEIVE_BUDGET };
}

function openFilesLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? COMMON_OPEN_FILES);
  } catch {
    return COMMON_OPEN_FILES; // No /proc: not Linux.
  }
}
