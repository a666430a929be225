import type { Clock, Logger, Random } from "../../lib/index.ts";
import type { ImageStore } from "../../images/index.ts";
import type { ProcessSpawner } from "../process-spawner.ts";
import { type ContainerRuntime, RuntimeError } from "../runtime.ts";

export interface WasiRuntimeOptions {
  /** Sandboxes, containers and workers as directories; made if missing. */
  readonly stateDirectory: string;
  /** Unix sockets; keep it short, because their paths may have 107 bytes at most. */
  readonly socketDirectory: string;
  readonly images: ImageStore;
  /** IPv4, for example `127.42.0.0/24`. */
  readonly podCidr: string;
  readonly spawner: ProcessSpawner;
  /** Program and arguments of a worker; the control socket's path is appended. */
  readonly workerCommand: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Workers kept ready. Default 2. */
  readonly warmWorkers?: number;
}

export interface WasiRuntime extends ContainerRuntime {
  /** Resolves when what ran before was adopted and orphans are gone. Call it before any verb. */
  start(): Promise<void>;
  /** Lets go of every worker: those with a container run on, warm ones end. */
  shutdown(): void;
}

/** The container runtime for WASI modules: one worker process a container. */
export function createWasiRuntime(options: WasiRuntimeOptions): WasiRuntime {
  throw new RuntimeError("unsupported", `no runtime for ${options.podCidr} yet`);
}
