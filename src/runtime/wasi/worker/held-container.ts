import {
  EXIT_CANNOT_RUN,
  EXIT_KILLED,
  EXIT_STOPPED,
  type FacadeStatus,
  type WorkerPhase,
  type WorkerSpec,
  type WorkerStatus,
} from "../worker-protocol.ts";
import { attempt } from "./attempt.ts";
import type { Reply } from "./control-server.ts";
import type { GuestEnd } from "./guest.ts";
import type { Container, prepareContainer, ProcessResources } from "./run-container.ts";

/** How long no connection must be open before a stopping guest ends. */
export const QUIET_MS = 50;
/**
 * How long nothing must move on connections whose requests are answered before a stopping guest
 * ends although they are open: a client that only keeps its connection would hold it for long.
 */
export const IDLE_CONNECTION_MS = 2_000;
const DRAIN_CHECK_MS = 10;

const KILLED: GuestEnd = { exitCode: EXIT_KILLED, reason: "Error", message: "" };
const STOPPED: GuestEnd = { exitCode: EXIT_STOPPED, reason: "Error", message: "" };

/** What preparing a container takes; loaded while the worker waits. */
export interface ContainerRoom {
  readonly prepareContainer: typeof prepareContainer;
  readonly resources: ProcessResources;
}

/** One container of a worker process, from its start to its end. */
export class HeldContainer {
  readonly #spec: WorkerSpec;
  readonly #onEnd: (end: GuestEnd) => void;
  #container: Container | undefined;
  /** A stop that came before the guest was ready: the grace period it gives. */
  #stopAfterStartMs: number | undefined;
  #drains: ReturnType<typeof setInterval>[] = [];
  #ending: GuestEnd | undefined;
  #over = false;

  /** `onEnd` is called once, when log and result file are written. */
  constructor(spec: WorkerSpec, onEnd: (end: GuestEnd) => void) {
    this.#spec = spec;
    this.#onEnd = onEnd;
  }

  async start(room: ContainerRoom, reply: Reply): Promise<void> {
    const { containerId } = this.#spec;
    try {
      this.#container = await room.prepareContainer(this.#spec, room.resources);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const end: GuestEnd = { exitCode: EXIT_CANNOT_RUN, reason: "ContainerCannotRun", message };
      attempt(() => room.resources.leaveResult(this.#spec.resultPath, end));
      reply({ type: "failed", containerId, reason: "ContainerCannotRun", message });
      return this.#onEnd(end);
    }
    const { facade, guest } = this.#container;
    reply({ type: "started", containerId, facade });
    if (this.#stopAfterStartMs !== undefined) this.stop(this.#stopAfterStartMs);
    // A guest that was ended from outside ends by what it was told, not by its own words.
    const end = await guest.run();
    this.#end(this.#ending ?? end);
  }

  /** Lets open connections finish, then ends; a later call with a shorter grace period counts. */
  stop(gracePeriodMs: number): void {
    const container = this.#container;
    if (container === undefined) {
      const earlier = this.#stopAfterStartMs ?? gracePeriodMs;
      this.#stopAfterStartMs = Math.min(earlier, gracePeriodMs);
      return;
    }
    if (gracePeriodMs <= 0) return this.#endNow(KILLED);
    const { guest } = container;
    guest.drain?.();
    const startMs = performance.now();
    let [busyMs, movedMs, activity] = [startMs, startMs, guest.activity];
    const drain = setInterval(() => {
      const nowMs = performance.now();
      if (guest.connections > 0) busyMs = nowMs;
      if (guest.owesAnswer || guest.activity !== activity) movedMs = nowMs;
      activity = guest.activity;
      const over = nowMs - startMs >= gracePeriodMs;
      const quiet = nowMs - busyMs >= QUIET_MS || nowMs - movedMs >= IDLE_CONNECTION_MS;
      if (over || quiet) this.#endNow(STOPPED);
    }, DRAIN_CHECK_MS);
    this.#drains.push(drain);
  }

  get status(): WorkerStatus {
    const container = this.#container;
    const { containerId } = this.#spec;
    // It is being prepared: held, but nothing is known of it.
    if (container === undefined) return { ...absentStatus(containerId), phase: "running" };
    const { guest, facade } = container;
    const { connections, memoryBytes } = guest;
    const cpuNanoseconds = Math.round(Number(container.computedNs()));
    return {
      type: "status",
      containerId,
      phase: this.#phase,
      connections,
      memoryBytes,
      cpuNanoseconds,
      facade,
    };
  }

  get #phase(): WorkerPhase {
    return this.#drains.length > 0 ? "draining" : "running";
  }

  /**
   * A guest with a process for itself ends with it. Others are thrown out of where they wait: what
   * they hold is given back when their stack is gone.
   */
  #endNow(end: GuestEnd): void {
    this.#ending ??= end;
    const abort = this.#container?.guest.abort;
    if (this.#spec.shared === undefined || abort === undefined) return this.#end(this.#ending);
    this.#container?.guest.abort?.(new Error("the container was stopped"));
  }

  #end(end: GuestEnd): void {
    if (this.#over) return;
    this.#over = true;
    for (const drain of this.#drains) clearInterval(drain);
    this.#container?.finish(end);
    this.#onEnd(end);
  }
}

export function absentStatus(containerId: string): WorkerStatus {
  const facade: readonly FacadeStatus[] = [];
  return {
    type: "status",
    containerId,
    phase: "absent",
    connections: 0,
    memoryBytes: 0,
    cpuNanoseconds: 0,
    facade,
  };
}
