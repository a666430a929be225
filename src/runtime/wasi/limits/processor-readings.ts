import { readFileSync } from "node:fs";

/** What the kernel counts of processors and those who want them, in milliseconds since a start. */
export interface ProcessorReadings {
  /** Of all processors together. */
  machineBusyMs(): number;
  /** For which the first thread of a process ran, or was ready to; undefined: it is not known. */
  wantedMs(pid: number): number | undefined;
}

const CLOCK_TICK_MS = 10;
const NANOSECONDS_PER_MS = 1e6;

/** Reads /proc, as proc(5) describes it. */
export const processorReadings: ProcessorReadings = {
  machineBusyMs() {
    const [, user = 0, nice = 0, system = 0] = read("/proc/stat")
      .split("\n", 1)
      .flatMap((line) => line.split(/\s+/))
      .map(Number);
    return (user + nice + system) * CLOCK_TICK_MS;
  },
  wantedMs(pid) {
    const [ran, waited] = read(`/proc/${pid}/schedstat`).split(" ").map(Number);
    if (ran === undefined || waited === undefined) return undefined;
    return (ran + waited) / NANOSECONDS_PER_MS;
  },
};

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process ended, or the kernel counts nothing.
  }
}
