import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { sampleProcess } from "./measure-process.ts";

/** What a process holds and what it left about, to be compared before and after a long run. */
export interface Census {
  readonly pssMiB: number;
  readonly descriptors: number;
  readonly threads: number;
  /** Bound Unix sockets whose path lies under one of the directories. */
  readonly unixSockets: number;
  /** Processes that name one of the directories, or have it as their working directory. */
  readonly processes: number;
  /** Of those processes together, the one itself left out. */
  readonly workersPssMiB: number;
  /** Dead children that nobody has waited for. */
  readonly zombies: number;
  /** By first part under the directory: `runtime/containers`, `pod-logs`. */
  readonly files: ReadonlyMap<string, number>;
}

const MIB = 1024 * 1024;

/** `files` is the directory whose files are counted; the others hold sockets. */
export function takeCensus(
  pid: number,
  places: { readonly files: string; readonly sockets: readonly string[] },
): Census {
  const directories = [places.files, ...places.sockets];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const files = new Map<string, number>();
  for (const path of readdirSync(places.files, { recursive: true, encoding: "utf8" })) {
    const [first = "", second = ""] = path.split("/");
    const group = first === "runtime" || first === "kubelet" ? join(first, second) : first;
    files.set(group, (files.get(group) ?? 0) + 1);
  }
  return {
    pssMiB: sampleProcess(pid).pssBytes / MIB,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0),
    unixSockets: countSockets(directories),
    ...countProcesses(pid, directories),
    files,
  };
}

function countSockets(directories: readonly string[]): number {
  return readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .filter((line) => directories.some((directory) => line.includes(` ${directory}/`))).length;
}

function countProcesses(
  parent: number,
  directories: readonly string[],
): { processes: number; workersPssMiB: number; zombies: number } {
  let processes = 0;
  let workersPssMiB = 0;
  let zombies = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" && Number(ppid) === parent) zombies++;
      if (state === "Z") continue;
      const about = readFileSync(`/proc/${pid}/cmdline`, "utf8") + readlinkSync(`/proc/${pid}/cwd`);
      if (!directories.some((directory) => about.includes(directory))) continue;
      processes++;
      if (Number(pid) !== parent) workersPssMiB += sampleProcess(Number(pid)).pssBytes / MIB;
    } catch {
      // It ended meanwhile.
    }
  }
  return { processes, workersPssMiB, zombies };
}

/** One row a figure, with a column a census. */
export function censusRows(all: readonly Census[]): (string | number)[][] {
  const groups = new Set(all.flatMap(({ files }) => [...files.keys()]));
  return [
    ["PSS MiB", ...all.map(({ pssMiB }) => pssMiB.toFixed(1))],
    ["PSS of workers MiB", ...all.map(({ workersPssMiB }) => workersPssMiB.toFixed(1))],
    ...(["descriptors", "threads", "unixSockets", "processes", "zombies"] as const).map(
      (figure) => [figure, ...all.map((one) => one[figure])],
    ),
    ...[...groups]
      .sort()
      .map((group) => [`files: ${group}`, ...all.map(({ files }) => files.get(group) ?? 0)]),
  ];
}
