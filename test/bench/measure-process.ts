import { readFileSync } from "node:fs";

export interface ProcessSample {
  /** Proportional set size: shared pages counted by share. */
  readonly pssBytes: number;
  readonly cpuMs: number;
  /** Bytes that reached the block layer on behalf of the process. */
  readonly writtenBytes: number;
}

const CLOCK_TICK_MS = 10;

/** Reads what Linux accounts for a process. */
export function sampleProcess(pid: number): ProcessSample {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const io = readFileSync(`/proc/${pid}/io`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pssBytes: Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS,
    writtenBytes: Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0),
  };
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Nearest-rank percentile. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** Prints rows under a heading, in Markdown. */
export function printTable(heading: readonly string[], rows: readonly (string | number)[][]): void {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  const rule = heading.map(() => "---");
  process.stdout.write(`${[heading, rule, ...rows].map(line).join("\n")}\n\n`);
}
