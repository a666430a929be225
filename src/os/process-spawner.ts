import { existsSync, readFileSync } from "node:fs";
import type {
  ProcessIdentity,
  ProcessSpawner,
  ProcessUsage,
  SpawnedWorker,
  WorkerCommand,
  WorkerSignal,
} from "../runtime/index.ts";
import { isSameProcess, processStartTime } from "./process-identity.ts";

/**
 * The shell around a worker. It tells the worker's pid, then waits for a line: without one (the
 * server ended first) the worker is killed. Whatever happens, the exit code is recorded. A machine
 * that runs out of memory is to end guests (score 900) before the server. A server that was killed
 * hears no pid: SIGPIPE then must not end the shell, or the worker would be left to nobody.
 */
export const WORKER_SHELL = `
directory=$1 files=$2
shift 2
ulimit -c 0
{ echo 900 >/proc/self/oom_score_adj; } 2>/dev/null
ulimit -n "$files" 2>/dev/null || ulimit -n "$(ulimit -H -n)"
"$@" </dev/null >/dev/null 2>"$directory/stderr" &
worker=$!
trap '' PIPE
echo "$worker" 2>/dev/null
exec >/dev/null
read -r released || kill -9 "$worker" 2>/dev/null
exec </dev/null
wait "$worker"
echo "$?" >"$directory/exit-code.tmp"
mv "$directory/exit-code.tmp" "$directory/exit-code"
`;

const NSENTER = "/usr/bin/nsenter";
const SETPRIV = "/usr/bin/setpriv";
/** A worker of root keeps one capability: the ports of its pod may be below 1024. */
const DROP_CAPABILITIES = ["--bounding-set=-all,+net_bind_service", "--inh-caps=-all"];
const CLOCK_TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** Starts workers as real processes of this machine (Linux). */
export function createProcessSpawner(): ProcessSpawner {
  const prefix = privilegePrefix();
  return {
    spawnWorker: (command) => spawnWorker(command, prefix),
    identify,
    isAlive: ({ pid, startTime }) => isSameProcess(pid, startTime),
    kill,
    usage,
  };
}

/**
 * The command that takes privileges away. setpriv comes with util-linux; where it is missing,
 * workers run as they are. Only root has capabilities to drop, and not every container's root may.
 */
function privilegePrefix(): string[] {
  if (!existsSync(SETPRIV)) return [];
  const prefix = [SETPRIV, "--no-new-privs"];
  if (process.getuid?.() !== 0) return [...prefix, "--"];
  const dropping = [...prefix, ...DROP_CAPABILITIES, "--"];
  const tried = Bun.spawnSync({ cmd: [...dropping, "/bin/true"], stderr: "ignore" });
  return tried.exitCode === 0 ? dropping : [...prefix, "--"];
}

async function spawnWorker(
  command: WorkerCommand,
  prefix: readonly string[],
): Promise<SpawnedWorker> {
  const { directory, maxOpenFiles, argv, env, networkNamespace } = command;
  // Before privileges go: entering takes one.
  const entering = networkNamespace === undefined ? [] : [NSENTER, `--net=${networkNamespace}`];
  const wrapper = Bun.spawn({
    cmd: [
      "/bin/sh",
      "-c",
      WORKER_SHELL,
      "worker",
      directory,
      `${maxOpenFiles}`,
      ...entering,
      ...prefix,
      ...argv,
    ],
    cwd: "/",
    env: { ...env },
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  wrapper.unref();
  const pid = Number((await new Response(wrapper.stdout).text()).trim());
  const identity = Number.isInteger(pid) && pid > 0 ? identify(pid) : undefined;
  if (identity === undefined) {
    await wrapper.stdin.end();
    throw new Error(`the worker ${argv.join(" ")} ended at once: ${stderrOf(directory)}`);
  }
  let open = true;
  const end = (line: string): void => {
    if (!open) return;
    open = false;
    if (line !== "") void wrapper.stdin.write(line);
    void wrapper.stdin.end();
  };
  return { identity, release: () => end("released\n"), discard: () => end("") };
}

function stderrOf(directory: string): string {
  try {
    return readFileSync(`${directory}/stderr`, "utf8").trim().slice(0, 1024) || "no output";
  } catch {
    return "no output";
  }
}

function identify(pid: number): ProcessIdentity | undefined {
  const startTime = processStartTime(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

function kill(identity: ProcessIdentity, signal: WorkerSignal): boolean {
  if (!isSameProcess(identity.pid, identity.startTime)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false; // It ended between the look and the signal.
  }
}

function usage(identity: ProcessIdentity): ProcessUsage | undefined {
  if (!isSameProcess(identity.pid, identity.startTime)) return undefined;
  try {
    const stat = readFileSync(`/proc/${identity.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Fields 14, 15 and 24 of proc(5): user and system ticks, resident pages.
    const ticks = Number(fields[11]) + Number(fields[12]);
    return {
      residentBytes: Number(fields[21]) * PAGE_BYTES,
      cpuNanoseconds: Math.round((ticks / CLOCK_TICKS_PER_SECOND) * 1e9),
    };
  } catch {
    return undefined; // The process ended while its file was read.
  }
}
