import type { CancelTimer, Clock, Logger } from "../../lib/index.ts";
import { EventBroadcast } from "../event-broadcast.ts";
import type { ContainerEvent, ContainerEventType, ContainerStatus } from "../runtime.ts";
import type { CriClient } from "./cri/cri-client.ts";
import { CriError } from "./cri/cri-error.ts";
import { CONTAINERD_EVENTS } from "./cri/methods.ts";

export interface ContainerWatchOptions {
  /** Every container of ours as it is now. */
  readonly list: () => Promise<readonly ContainerStatus[]>;
  /** Called with every container that runs, at each look. */
  readonly onRunning: (container: ContainerStatus) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** As often as a kubelet lists containers where a runtime tells of nothing. */
const RELIST_INTERVAL_MS = 1000;
/** containerd tells of an end before its CRI knows it: a look too early is followed by others. */
const LOOKS_AFTER_EXIT_MS = [10, 50, 200];
/** A task's end or shortage of memory; of other events our own calls tell us. */
const EXIT_FILTERS = ['topic=="/tasks/exit"', 'topic=="/tasks/oom"'];

const ORDER: readonly ContainerEventType[] = ["created", "started", "stopped", "deleted"];

interface Seen {
  readonly sandboxId: string;
  readonly podUid: string;
  readonly told: ContainerEventType;
}

/**
 * Makes events of what our own calls did and of what lists show, each once and in its order. While
 * nothing runs it asks nobody.
 */
export class ContainerWatch {
  readonly #options: ContainerWatchOptions;
  readonly #events = new EventBroadcast();
  readonly #seen = new Map<string, Seen>();
  #timer: CancelTimer | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;
  #listening = new AbortController();

  constructor(options: ContainerWatchOptions) {
    this.#options = options;
  }

  subscribe(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#events.subscribe(signal);
  }

  /** What a call of ours did, or a list showed. An end that nobody saw is told before a removal. */
  tell(
    type: ContainerEventType,
    container: Pick<ContainerStatus, "id" | "sandboxId" | "podUid">,
  ): void {
    const { id: containerId, sandboxId, podUid } = container;
    const told = this.#seen.get(containerId)?.told;
    if (told !== undefined && ORDER.indexOf(type) <= ORDER.indexOf(told)) return;
    if (type === "deleted" && told === "started") this.tell("stopped", container);
    if (type === "deleted") this.#seen.delete(containerId);
    else this.#seen.set(containerId, { sandboxId, podUid, told: type });
    this.#events.publish({ type, containerId, sandboxId, podUid });
    this.#keepLooking();
  }

  /** Containers that an earlier server made are known without an event. */
  adopt(containers: readonly ContainerStatus[]): void {
    for (const { id, sandboxId, podUid, state } of containers) {
      if (!this.#seen.has(id)) this.#seen.set(id, { sandboxId, podUid, told: toldOf(state) });
    }
    this.#keepLooking();
  }

  /** Listens to a server that tells of ends itself; lists go on beside that. */
  listen(client: CriClient): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    void this.#read(client, this.#listening.signal);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.();
    this.#listening.abort();
  }

  async #read(client: CriClient, signal: AbortSignal): Promise<void> {
    try {
      const request = { filters: EXIT_FILTERS };
      for await (const event of client.stream(CONTAINERD_EVENTS, request, signal)) {
        if (event.topic === "") continue;
        for (const delayMs of LOOKS_AFTER_EXIT_MS) {
          this.#options.clock.after(delayMs, () => void this.#look());
        }
      }
    } catch (error) {
      // Another CRI has no such service, and a containerd that is gone comes back as a new one.
      const known = error instanceof CriError && (error.isUnimplemented || error.isUnavailable);
      if (!known) this.#options.logger.warn("the events of containerd ended", { error });
    }
  }

  #keepLooking(): void {
    if (this.#closed || this.#timer !== undefined || !this.#isAnyAlive()) return;
    this.#timer = this.#options.clock.after(RELIST_INTERVAL_MS, () => {
      this.#timer = undefined;
      void this.#look().then(() => this.#keepLooking());
    });
  }

  #isAnyAlive(): boolean {
    for (const { told } of this.#seen.values()) if (told !== "stopped") return true;
    return false;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow()
      .catch((error: unknown) => {
        if (!this.#closed) this.#options.logger.debug("containers could not be listed", { error });
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    if (this.#closed) return;
    const before = new Set(this.#seen.keys());
    const containers = await this.#options.list();
    const there = new Set<string>();
    for (const container of containers) {
      there.add(container.id);
      const { state } = container;
      if (state === "exited") this.tell("stopped", container);
      else if (state === "running") {
        this.#options.onRunning(container);
        if (this.#seen.get(container.id)?.told === "created") this.tell("started", container);
      }
    }
    for (const id of before) {
      const seen = this.#seen.get(id);
      if (seen !== undefined && !there.has(id)) this.tell("deleted", { id, ...seen });
    }
  }
}

function toldOf(state: ContainerStatus["state"]): ContainerEventType {
  if (state === "created") return "created";
  return state === "running" ? "started" : "stopped";
}
