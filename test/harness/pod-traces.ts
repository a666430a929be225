import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { locateDataDirectory } from "../../src/cmd/data-directory.ts";

/** What pods of a cluster have on this machine, whatever the API says. */
export interface PodTraces {
  /** Worker processes, by id. */
  readonly workers: readonly string[];
  /** Shells around workers. */
  readonly shells: readonly string[];
  /** Workers that a record of a running container names. */
  readonly recorded: readonly string[];
  readonly sandboxes: readonly string[];
  readonly containers: readonly string[];
  readonly workerDirectories: readonly string[];
  readonly controlSockets: readonly string[];
  readonly portDirectories: readonly string[];
  readonly volumes: readonly string[];
  readonly logs: readonly string[];
}

interface ContainerRecord {
  readonly state: string;
  readonly worker?: { readonly id: string; readonly identity: { readonly pid: number } };
}

/** Looks at processes, files and sockets of a data directory. */
export function podTraces(dataDir: string): PodTraces {
  const { runtime, sockets, kubelet, podLogs } = locateDataDirectory(dataDir);
  const containers = namesIn(join(runtime, "containers"));
  const recorded = containers.flatMap((id) => {
    const record = recordOf(join(runtime, "containers", id, "state.json"));
    return record?.state === "running" && record.worker !== undefined ? [record.worker.id] : [];
  });
  const processes = commandLines().filter((argv) => argv.some((one) => one.startsWith(sockets)));
  const isShell = (argv: readonly string[]): boolean => argv[0] === "/bin/sh";
  return {
    workers: processes.filter((argv) => !isShell(argv)).map(workerOf),
    shells: processes.filter(isShell).map(workerOf),
    recorded,
    sandboxes: namesIn(join(runtime, "sandboxes")),
    containers,
    workerDirectories: namesIn(join(runtime, "workers")),
    controlSockets: namesIn(join(sockets, "w")),
    portDirectories: namesIn(join(sockets, "p")),
    volumes: namesIn(join(kubelet, "pods")),
    logs: namesIn(podLogs),
  };
}

/** The process of a container. Throws when none is recorded. */
export function workerPid(dataDir: string, containerId: string): number {
  const { runtime } = locateDataDirectory(dataDir);
  const record = recordOf(join(runtime, "containers", containerId, "state.json"));
  if (record?.worker === undefined) throw new Error(`container ${containerId} has no worker`);
  return record.worker.identity.pid;
}

/** The Unix socket of a pod's port, which answers while no server runs. */
export function portSocket(dataDir: string, podUid: string, port: number): string {
  const { runtime, sockets } = locateDataDirectory(dataDir);
  for (const id of namesIn(join(runtime, "sandboxes"))) {
    const text = readFileSync(join(runtime, "sandboxes", id, "state.json"), "utf8");
    const { uid, socketName } = JSON.parse(text) as { uid: string; socketName: string };
    if (uid === podUid) return join(sockets, "p", socketName, `${port}`);
  }
  throw new Error(`no sandbox of pod ${podUid} in ${runtime}`);
}

/** One of the arguments is the control socket, `…/w/<id>.sock`. */
function workerOf(argv: readonly string[]): string {
  const ids = argv.map((one) => /\/w\/([0-9a-f]+)\.sock$/.exec(one)?.[1]);
  return ids.find((id) => id !== undefined) ?? argv.join(" ");
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

function recordOf(path: string): ContainerRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ContainerRecord;
  } catch {
    return undefined; // Removed between the listing and the look.
  }
}

/** The arguments of every process of this machine. */
function commandLines(): string[][] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1)];
    } catch {
      return []; // The process ended meanwhile.
    }
  });
}
