import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CancelTimer, Clock, Logger } from "../../../lib/index.ts";
import { holdsCurrentCode, WORKER_SCRIPT } from "./worker-code-manifest.ts";

export interface WorkerCodePlace {
  /** Bundles, a directory each; made if missing. */
  readonly directory: string;
  /** Program and arguments of the bundler; the directory to fill is appended. */
  readonly buildCommand: readonly string[];
}

export interface WorkerCodeOptions {
  /** Program and arguments that run a worker from the sources; its last part is the script. */
  readonly workerCommand: readonly string[];
  /** Without it workers always start from the sources. */
  readonly workerCode?: WorkerCodePlace;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A first start leaves the machine to whatever made somebody start the server. */
export const BUILD_DELAY_MS = 1_500;
/** Seen: 1 s. */
const BUILD_TIMEOUT_MS = 60_000;
/** A worker of an earlier version may still load what it needs later from its own bundle. */
export const MAX_BUNDLES = 4;
/** What was begun so long before the newest bundle was left by a server that was killed. */
const STALE_MS = 10 * BUILD_TIMEOUT_MS;
const TEMPORARY = ".tmp";
const NICE = ["/usr/bin/env", "nice", "-n", "10"] as const;

/**
 * What worker processes are started with: the sources, until a bundle of exactly these sources is
 * there. Reading and compiling the sources is most of what a worker's start costs.
 */
export class WorkerCode {
  readonly #options: WorkerCodeOptions;
  #command: readonly string[];
  #cancel: CancelTimer | undefined;
  #building: { kill(signal: "SIGKILL"): void } | undefined;
  #closed = false;

  constructor(options: WorkerCodeOptions) {
    this.#options = options;
    this.#command = options.workerCommand;
  }

  /** Program and arguments of a worker; the control socket's path is appended. */
  get command(): readonly string[] {
    return this.#command;
  }

  get isBundled(): boolean {
    return this.#command !== this.#options.workerCommand;
  }

  /** Takes the bundle there is, or has one made soon. */
  start(): void {
    const { workerCode, clock } = this.#options;
    if (workerCode === undefined || this.#adopt(workerCode)) return;
    this.#cancel = clock.after(BUILD_DELAY_MS, () => void this.#build(workerCode));
  }

  /** Resolves when a bundle is in use or could not be made, which is logged. */
  async #build(bundles: WorkerCodePlace): Promise<void> {
    const { clock, logger } = this.#options;
    const place = join(bundles.directory, `${process.pid}-${Math.floor(clock.now())}`);
    const temporary = `${place}${TEMPORARY}`;
    try {
      mkdirSync(bundles.directory, { recursive: true, mode: 0o700 });
      await this.#run([...bundles.buildCommand, temporary]);
      // Another server of this machine may have made one meanwhile.
      if (this.#closed || this.#adopt(bundles)) {
        return rmSync(temporary, { recursive: true, force: true });
      }
      renameSync(temporary, place);
      if (!this.#adopt(bundles)) throw new Error("the sources changed meanwhile");
      sweep(bundles);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      if (this.#closed) return;
      logger.warn("workers start from their sources, which is slower", { error: String(error) });
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#building?.kill("SIGKILL");
  }

  #adopt({ directory }: WorkerCodePlace): boolean {
    const { workerCommand } = this.#options;
    const found = bundlesIn(directory).find(({ path }) => holdsCurrentCode(path));
    if (found === undefined) return false;
    this.#command = [...workerCommand.slice(0, -1), join(found.path, WORKER_SCRIPT)];
    return true;
  }

  async #run(command: readonly string[]): Promise<void> {
    const child = Bun.spawn([...NICE, ...command], {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    this.#building = child;
    const cancel = this.#options.clock.after(BUILD_TIMEOUT_MS, () => child.kill("SIGKILL"));
    const [words, exitCode] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    cancel();
    this.#building = undefined;
    if (exitCode !== 0) throw new Error(words.trim().slice(-1024) || `ended with ${exitCode}`);
  }
}

interface Place {
  readonly path: string;
  readonly madeMs: number;
}

/** Removes the oldest, and what nobody goes on to make. */
function sweep({ directory }: WorkerCodePlace): void {
  const [newest, ...others] = bundlesIn(directory);
  if (newest === undefined) return;
  const begun = placesIn(directory, (name) => name.endsWith(TEMPORARY));
  const unfinished = begun.filter(({ madeMs }) => madeMs < newest.madeMs - STALE_MS);
  for (const { path } of [...others.slice(MAX_BUNDLES - 1), ...unfinished]) {
    rmSync(path, { recursive: true, force: true });
  }
}

function bundlesIn(directory: string): Place[] {
  return placesIn(directory, (name) => !name.endsWith(TEMPORARY));
}

/** The newest first. */
function placesIn(directory: string, isWanted: (name: string) => boolean): Place[] {
  try {
    return readdirSync(directory)
      .filter(isWanted)
      .map((name) => join(directory, name))
      .map((path) => ({ path, madeMs: statSync(path).mtimeMs }))
      .sort((one, other) => other.madeMs - one.madeMs);
  } catch {
    return []; // None was ever made, or another server sweeps: one is made.
  }
}
