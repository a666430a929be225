import { readdirSync, readFileSync } from "node:fs";

/** A process of a container. */
export interface SeenProcess {
  readonly pid: number;
  readonly parent: number;
  /** Ticks since the machine's start; with the id it names a process for ever. */
  readonly startTicks: number;
  readonly command: readonly string[];
}

/** The processes of this machine, as far as they are asked for here. */
export interface ProcessTable {
  /** How long the machine runs, in the ticks of start times. */
  nowTicks(): number;
  inContainer(containerId: string): readonly SeenProcess[];
  /** Does nothing when it is another process by now. */
  kill(process: SeenProcess): void;
}

/** Hundredths of a second in `/proc`, whatever the kernel counts in. */
const TICKS_A_SECOND = 100;
/** How long a container runtime may take from the last word of the client to the start. */
const MAX_START_TICKS = 2 * TICKS_A_SECOND;

/**
 * The program that an exec began, and what came of it. A CRI tells nothing of it and lets it run
 * when its streams are cut: of the processes that were not begun by the container itself, it is the
 * first since the exec with its command, or the only one. Nothing when it cannot be told apart.
 */
export function processesOfExec(
  all: readonly SeenProcess[],
  exec: {
    readonly command: readonly string[];
    /** When it was asked for … */
    readonly sinceTicks: number;
    /** … and when it was cut. */
    readonly untilTicks: number;
  },
): readonly SeenProcess[] {
  // Who was asked to begin it did so soon, even when it was cut late.
  const latest = Math.min(exec.untilTicks, exec.sinceTicks + MAX_START_TICKS) + MAX_START_TICKS;
  const ids = new Set(all.map(({ pid }) => pid));
  const roots = all
    .filter(({ parent, startTicks }) => !ids.has(parent) && startTicks >= exec.sinceTicks)
    .filter(({ startTicks }) => startTicks <= latest)
    .toSorted((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
  const same = roots.find(({ command }) => command.join("\0") === exec.command.join("\0"));
  const root = same ?? (roots.length === 1 ? roots[0] : undefined);
  if (root === undefined) return [];
  const found = [root];
  // Grows while it is gone through: children, then theirs.
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

/** Reads `/proc`; a container's processes are those whose control group has its id. */
export function machineProcesses(): ProcessTable {
  return {
    nowTicks() {
      const seconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
      return Math.floor(seconds * TICKS_A_SECOND);
    },
    inContainer: (containerId) =>
      readdirSync("/proc")
        .map(Number)
        .filter((pid) => pid > 0 && textOf(pid, "cgroup").includes(containerId))
        .flatMap((pid) => seen(pid) ?? []),
    kill(known) {
      if (seen(known.pid)?.startTicks !== known.startTicks) return;
      try {
        process.kill(known.pid, "SIGKILL");
      } catch {
        // It ended in this very moment.
        return;
      }
    },
  };
}

function seen(pid: number): SeenProcess | undefined {
  const stat = textOf(pid, "stat");
  // After the name, which may have spaces and brackets: state, parent, …, start time.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [parent, startTicks] = [Number(fields[1]), Number(fields[19])];
  if (stat === "" || Number.isNaN(parent) || Number.isNaN(startTicks)) return undefined;
  const command = textOf(pid, "cmdline").split("\0").slice(0, -1);
  return { pid, parent, startTicks, command };
}

/** Empty for a process that ended. */
function textOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
