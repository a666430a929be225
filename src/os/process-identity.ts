import { existsSync, readFileSync } from "node:fs";

/**
 * When a process began: field 22 of /proc/PID/stat (clock ticks since boot) on Linux. A pid with
 * its start time names a process for good, since pids are used again. Undefined once it is gone,
 * a zombie included.
 */
export function processStartTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // The process ended before or while its file was read, or this machine has no such files.
    return existsSync("/proc/self/stat") || !isAlive(pid) ? undefined : "unknown";
  }
  // The command's name stands in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return state === "Z" || state === "X" ? undefined : startTime;
}

/** Whether the process that had this pid at that start time still runs. */
export function isSameProcess(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: no such process; EPERM cannot be, since we only ask about our own.
    return false;
  }
}
