/** A process that is told from a later one of the same pid by its start time. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks after boot, as text. */
  readonly startTime: string;
}

export interface WorkerCommand {
  /** Program and arguments; the first is an absolute path. */
  readonly argv: readonly string[];
  /** The whole environment of the worker: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Receives `exit-code` (0–255, 128 + n after signal n) when the worker ended, written atomically
   * whether or not the server lives, and `stderr`.
   */
  readonly directory: string;
  readonly maxOpenFiles: number;
  /** The file of the network namespace to run it in. Needs root, and nsenter of util-linux. */
  readonly networkNamespace?: string;
}

/** A started worker that still waits for its release. */
export interface SpawnedWorker {
  /** The worker itself, not the shell around it. */
  readonly identity: ProcessIdentity;
  /** From now on the worker outlives this server; until then it dies with it. Idempotent. */
  release(): void;
  /** Ends a worker that was not released. Idempotent. */
  discard(): void;
}

/**
 * Starts and watches worker processes; the real one lives in os/. A worker has a session of its
 * own, the environment given and no inherited descriptors besides the standard three on /dev/null.
 */
export interface ProcessSpawner {
  spawnWorker(command: WorkerCommand): Promise<SpawnedWorker>;
  /** The identity of a living process; zombies count as gone. */
  identify(pid: number): ProcessIdentity | undefined;
  isAlive(identity: ProcessIdentity): boolean;
  /** Verifies the start time, then signals. False: the process is gone. */
  kill(identity: ProcessIdentity, signal: WorkerSignal): boolean;
  /** Undefined when the process is gone. */
  usage(identity: ProcessIdentity): ProcessUsage | undefined;
}

/** To end a worker, or to stop it for a moment. */
export type WorkerSignal = "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

export interface ProcessUsage {
  readonly residentBytes: number;
  readonly cpuNanoseconds: number;
}
