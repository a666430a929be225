import { runCommand } from "../harness/spawned-server.ts";
import { median, printTable, sampleProcess } from "./measure-process.ts";

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  /** The Host field, for an Ingress rule. */
  readonly host?: string;
}

export interface LoadFigures {
  /** Whole answers a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const UNITS_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** One run of wrk on one thread. Throws when an answer is no success or a connection breaks. */
export async function wrkLoad(url: string, options: LoadOptions): Promise<LoadFigures> {
  const host = options.host === undefined ? [] : ["-H", `Host: ${options.host}`];
  const flags = ["-t1", `-c${options.connections}`, `-d${options.seconds}s`, "--latency", ...host];
  const { stdout, stderr } = await runCommand(["wrk", ...flags, url]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  if (!(rate > 0) || /Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout + stderr);
  return { rate, p50Ms: latencyMs(stdout, 50), p99Ms: latencyMs(stdout, 99) };
}

function latencyMs(output: string, rank: number): number {
  const line = new RegExp(`^\\s+${rank}%\\s+([\\d.]+)(us|ms|s|m)\\s*$`, "m").exec(output);
  return Number(line?.[1]) * (UNITS_MS[line?.[2] ?? ""] ?? Number.NaN);
}

/** What is loaded, and what of the machine it costs. */
export interface LoadTarget {
  readonly name: string;
  readonly url: string;
  readonly host?: string;
  /** Processes whose time on a processor is told beside the rate. */
  readonly processes?: Readonly<Record<string, number>>;
}

export interface TargetFigures {
  readonly target: LoadTarget;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of each process of the target, microseconds of a core for a request. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** Loads the targets in turns, so that what else the machine does meets all of them. */
export async function loadInTurns(
  targets: readonly LoadTarget[],
  options: Omit<LoadOptions, "host"> & { readonly runs: number },
): Promise<TargetFigures[]> {
  const all = targets.map((target) => ({
    target,
    runs: [] as (LoadFigures & { readonly cpuUs: Record<string, number> })[],
  }));
  for (let run = 0; run < options.runs; run++) {
    for (const { target, runs } of all) {
      const processes = Object.entries(target.processes ?? {});
      const before = processes.map(([, pid]) => sampleProcess(pid).cpuMs);
      const host = target.host === undefined ? {} : { host: target.host };
      const figures = await wrkLoad(target.url, { ...options, ...host });
      const requests = figures.rate * options.seconds;
      const cpuUs = processes.map(([name, pid], index) => {
        const usedMs = sampleProcess(pid).cpuMs - (before[index] ?? 0);
        return [name, (usedMs * 1000) / requests] as const;
      });
      runs.push({ ...figures, cpuUs: Object.fromEntries(cpuUs) });
    }
  }
  return all.map(({ target, runs }) => ({
    target,
    rate: median(runs.map(({ rate }) => rate)),
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
    cpuUs: Object.fromEntries(
      Object.keys(target.processes ?? {}).map((name) => [
        name,
        median(runs.map(({ cpuUs }) => cpuUs[name] ?? Number.NaN)),
      ]),
    ),
  }));
}

/** Prints a table of targets; `compare` adds a column of its own. */
export function printTargets(
  heading: string,
  figures: readonly TargetFigures[],
  compare: { readonly title: string; readonly cell: (figures: TargetFigures) => string },
): void {
  printTable(
    [heading, "a second", compare.title, "p50 ms", "p99 ms", "µs of a core a request"],
    figures.map((one) => [
      one.target.name,
      one.rate.toFixed(0),
      compare.cell(one),
      one.p50Ms.toFixed(2),
      one.p99Ms.toFixed(2),
      Object.entries(one.cpuUs)
        .map(([name, us]) => `${name} ${us.toFixed(0)}`)
        .join(", "),
    ]),
  );
}
