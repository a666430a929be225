import type { Pod } from "../api/index.ts";
import { type Clock, type Logger, sleep } from "../lib/index.ts";
import { evictionMessage, limitsLocalStorage } from "./local-storage-eviction.ts";
import { isTerminal } from "./pod-actions.ts";
import { podContainers } from "./pod-runtime-state.ts";

/** How often pods with limits are measured, as in Kubernetes. */
export const LOCAL_STORAGE_INTERVAL_MS = 10_000;

export interface LocalStorageWatchOptions {
  readonly pods: () => readonly Pod[];
  readonly volumeDirectory: (pod: Pod, volume: string) => string;
  readonly logDirectory: (pod: Pod) => string;
  readonly measure: (
    directories: readonly string[],
    signal: AbortSignal,
  ) => Promise<(number | undefined)[]>;
  /** The pod takes more of the disk than it may. */
  readonly evict: (pod: Pod, message: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs?: number;
}

/** Ends pods that take more of the node's disk than their limits allow. */
export class LocalStorageWatch {
  readonly #options: LocalStorageWatchOptions;

  constructor(options: LocalStorageWatchOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs = LOCAL_STORAGE_INTERVAL_MS } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, intervalMs, signal);
      await this.look(signal);
    }
  }

  /** One pod after another: a walk leaves the disk to those who work. */
  async look(signal: AbortSignal): Promise<void> {
    for (const pod of this.#options.pods()) {
      if (signal.aborted) return;
      if (isTerminal(pod) || !limitsLocalStorage(pod)) continue;
      try {
        const message = await this.#measure(pod, signal);
        if (message !== undefined && !signal.aborted) this.#options.evict(pod, message);
      } catch (error) {
        if (signal.aborted) return;
        const { namespace, name } = pod.metadata;
        const what = { pod: `${namespace}/${name}`, error: String(error) };
        this.#options.logger.warn("a pod's local storage was not measured", what);
      }
    }
  }

  async #measure(pod: Pod, signal: AbortSignal): Promise<string | undefined> {
    const { measure, volumeDirectory, logDirectory } = this.#options;
    const volumes = (pod.spec?.volumes ?? []).map(({ name }) => name);
    const containers = podContainers(pod).map(({ name }) => name);
    const logs = logDirectory(pod);
    const bytes = await measure(
      [
        ...volumes.map((name) => volumeDirectory(pod, name)),
        ...containers.map((name) => `${logs}/${name}`),
      ],
      signal,
    );
    const named = (names: readonly string[], from: number): Map<string, number> =>
      new Map(names.map((name, index) => [name, bytes[from + index] ?? 0]));
    return evictionMessage(pod, {
      volumes: named(volumes, 0),
      logs: named(containers, volumes.length),
    });
  }
}
