import type { Pod } from "../api/index.ts";
import type { CancelTimer, Clock, Logger } from "../lib/index.ts";
import type { PodRequests } from "./admission.ts";
import { MAX_BACKOFF_MS } from "./restart-backoff.ts";
import type { PodProbes } from "./pod-probes.ts";
import type { StartFailure } from "./start-failure.ts";

/** What the kubelet remembers of one pod between two syncs. */
export interface PodMemory {
  readonly uid: string;
  /** The newest object seen; the last one when `gone`. */
  pod: Pod;
  /** What it asks of the node: admission adds this up over all pods. */
  readonly requests: PodRequests;
  /** The API server has no such pod any more. */
  gone: boolean;
  /** Containers, volumes and logs are removed: only the object is left. */
  cleaned: boolean;
  /** Set when the pod has to leave the node; it is not taken back. */
  eviction?: { readonly reason: string; readonly message: string };
  /** The node took the pod in. */
  admitted: boolean;
  /** Volumes, ConfigMaps or Secrets may differ from what was prepared. */
  referencesChanged: boolean;
  readonly probes: PodProbes;
  /** Containers that could not be started, and when another attempt makes sense. */
  readonly failures: Map<string, { readonly failure: StartFailure; readonly retryAt: number }>;
  /** Termination messages read from logs, by container id. */
  readonly messages: Map<string, string>;
  /** Container name → the instance whose back-off was told as an event. */
  readonly toldBackoff: Map<string, string>;
  /** Aborts what must not hold up a deletion: image pulls. */
  interruption: AbortController;
}

export interface SyncResult {
  /** When to look again if nothing happens before. */
  readonly checkAt?: number;
  /** Nothing of the pod is left: forget it. */
  readonly finished: boolean;
}

export interface PodWorkerOptions {
  readonly memory: PodMemory;
  readonly sync: (memory: PodMemory) => Promise<SyncResult>;
  readonly onFinished: (uid: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_INITIAL_MS = 500;

/** Runs the syncs of one pod, one after another: no two of them overlap. */
export class PodWorker {
  readonly memory: PodMemory;
  readonly #options: PodWorkerOptions;
  #dirty = false;
  #running: Promise<void> | undefined;
  #timer: CancelTimer | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: PodWorkerOptions) {
    this.#options = options;
    this.memory = options.memory;
  }

  /** Something about the pod may have changed. */
  poke(): void {
    this.#dirty = true;
    if (this.#closed || this.#running !== undefined) return;
    this.#running = this.#run();
  }

  /** No sync begins after this; resolves when the one under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.();
    this.memory.interruption.abort();
    this.memory.probes.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#dirty && !this.#closed) {
        this.#dirty = false;
        this.#timer?.();
        this.#timer = undefined;
        await this.#syncOnce();
      }
    } finally {
      // In the same turn as the last look at `#dirty`: a poke between the two would be lost.
      this.#running = undefined;
    }
  }

  async #syncOnce(): Promise<void> {
    const { clock, logger, sync, onFinished, memory } = this.#options;
    try {
      const { checkAt, finished } = await sync(memory);
      this.#failures = 0;
      if (finished && !this.#dirty) {
        this.#closed = true;
        memory.probes.close();
        onFinished(memory.uid);
      } else if (checkAt !== undefined) {
        this.#pokeAfter(checkAt - clock.now());
      }
    } catch (error) {
      if (this.#closed) return;
      const delayMs = Math.min(RETRY_INITIAL_MS * 2 ** this.#failures++, MAX_BACKOFF_MS);
      const { namespace, name } = memory.pod.metadata;
      logger.error("a pod sync failed", { pod: `${namespace}/${name}`, error, delayMs });
      this.#pokeAfter(delayMs);
    }
  }

  #pokeAfter(delayMs: number): void {
    this.#timer?.();
    this.#timer = this.#options.clock.after(Math.max(0, delayMs), () => this.poke());
  }
}
