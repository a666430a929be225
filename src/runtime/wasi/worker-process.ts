import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../../lib/index.ts";
import type { ProcessIdentity, ProcessSpawner, SpawnedWorker } from "../process-spawner.ts";
import { RuntimeError } from "../runtime.ts";
import type { LikelyComponent } from "./component/likely-components.ts";
import { ControlConnection } from "./control-connection.ts";

/** What is kept on disk of a worker, so that the next server finds it again. */
export interface WorkerAddress {
  readonly id: string;
  readonly identity: ProcessIdentity;
  /** Set for a worker that several containers share: those of one trust domain. */
  readonly shared?: { readonly domain: string; readonly capacity: number };
}

/** A worker process that answers on its control socket. */
export interface WorkerProcess extends WorkerAddress {
  readonly connection: ControlConnection;
  /** Absent for a worker that an earlier server started. */
  readonly spawned?: SpawnedWorker;
}

export interface WorkerPlaces {
  /** One directory a worker: `exit-code`, `stderr`. */
  readonly workersDirectory: string;
  /** One socket a worker. */
  readonly controlDirectory: string;
}

export interface WorkerLauncher extends WorkerPlaces {
  readonly spawner: ProcessSpawner;
  readonly workerCommand: readonly string[];
  readonly clock: Clock;
}

/** A worker that has not opened its control socket by then is given up. */
export const WORKER_START_TIMEOUT_MS = 20_000;
/** A worker listens after 10 ms when it has a processor, and later the more others start. */
const FIRST_CONNECT_DELAY_MS = 3;
const CONNECT_DELAY_GROWTH = 1.3;
const MAX_CONNECT_DELAY_MS = 30;
const MAX_OPEN_FILES = 4096;
/**
 * The engine reserves 4 GiB of addresses for a memory, to leave bounds checks out, and has room for
 * four of those. Each further one costs a collection of the whole heap before it is made without:
 * 5 ms with 50 guests, 20 ms with 300 (measured), so that starting them took as the square of their
 * number. Without the reservation a guest starts in 1 ms.
 */
const SHARED_ENGINE_OPTIONS = { BUN_JSC_useWasmFastMemory: "0" };
/** For a worker with several guests, each of which gets its part; or what the machine allows. */
const SHARED_MAX_OPEN_FILES = 65_536;
const MAX_STDERR_LENGTH = 1024;

export function workerDirectory(places: WorkerPlaces, workerId: string): string {
  return join(places.workersDirectory, workerId);
}

export function controlPath(places: WorkerPlaces, workerId: string): string {
  return join(places.controlDirectory, `${workerId}.sock`);
}

export interface LaunchOptions {
  /** It will hold several containers. */
  readonly shared?: true;
  /** While it waits it loads what components need too, and these. */
  readonly components?: readonly LikelyComponent[];
  /** The file of the network namespace that it runs in; the machine's own without one. */
  readonly networkNamespace?: string | undefined;
}

/** Starts a worker and waits until it takes orders. Errors: `start-failed`. */
export async function launchWorker(
  launcher: WorkerLauncher,
  id: string,
  options: LaunchOptions = {},
): Promise<WorkerProcess> {
  const directory = workerDirectory(launcher, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = controlPath(launcher, id);
  let spawned: SpawnedWorker | undefined;
  try {
    spawned = await launcher.spawner.spawnWorker({
      argv: [...launcher.workerCommand, path, ...expectation(options)],
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        HOME: directory,
        TMPDIR: directory,
        // A cache of its own would be written (180 KB) by each worker and read by none.
        BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
        // Bun looks after its heap each second, which an idle pod pays with 1 ms; what allocates
        // is collected without that look.
        BUN_GC_TIMER_INTERVAL: "30000",
        // Threads that help to mark cost a small heap more than they save.
        BUN_JSC_numberOfGCMarkers: "1",
        ...(options.shared ? SHARED_ENGINE_OPTIONS : {}),
      },
      directory,
      ...(options.networkNamespace === undefined
        ? {}
        : { networkNamespace: options.networkNamespace }),
      maxOpenFiles: options.shared ? SHARED_MAX_OPEN_FILES : MAX_OPEN_FILES,
    });
    const connection = await connectTo(launcher, path, spawned.identity);
    return { id, identity: spawned.identity, connection, spawned };
  } catch (error) {
    spawned?.discard();
    const stderr = readSmallFile(join(directory, "stderr")).slice(-MAX_STDERR_LENGTH).trim();
    forgetWorker(launcher, id);
    const message = `the worker did not start: ${(error as Error).message}`;
    throw new RuntimeError("start-failed", stderr === "" ? message : `${message}: ${stderr}`, {
      cause: error,
    });
  }
}

/** As `src/cmd/wasi-worker.ts` reads it. */
function expectation({ components }: LaunchOptions): string[] {
  return components === undefined ? [] : [JSON.stringify(components)];
}

async function connectTo(
  launcher: WorkerLauncher,
  path: string,
  identity: ProcessIdentity,
): Promise<ControlConnection> {
  const { clock, spawner } = launcher;
  const deadlineMs = clock.monotonic() + WORKER_START_TIMEOUT_MS;
  let delayMs = FIRST_CONNECT_DELAY_MS;
  for (;;) {
    await sleep(clock, delayMs);
    delayMs = Math.min(delayMs * CONNECT_DELAY_GROWTH, MAX_CONNECT_DELAY_MS);
    try {
      return await ControlConnection.connect(path);
    } catch (error) {
      if (!spawner.isAlive(identity)) throw new Error("it ended at once", { cause: error });
      if (clock.monotonic() > deadlineMs) {
        throw new Error(`no control socket after ${WORKER_START_TIMEOUT_MS} ms`, { cause: error });
      }
    }
  }
}

/**
 * Removes what a dead worker left behind. The shell around it may be about to write the exit code
 * down: the directory changes its name first, so that nothing new comes into it meanwhile.
 */
export function forgetWorker(places: WorkerPlaces, workerId: string): void {
  const directory = workerDirectory(places, workerId);
  const leaving = `${directory}.gone`;
  if (existsSync(directory)) renameSync(directory, leaving);
  rmSync(leaving, { recursive: true, force: true });
  rmSync(controlPath(places, workerId), { force: true });
}

/** The exit code that the shell around the worker recorded; undefined while there is none. */
export function recordedExitCode(places: WorkerPlaces, workerId: string): number | undefined {
  const text = readSmallFile(join(workerDirectory(places, workerId), "exit-code")).trim();
  return /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

/** `""` for a file that is not there. */
export function readSmallFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not written yet, or removed: the caller treats both as nothing to read.
  }
}
