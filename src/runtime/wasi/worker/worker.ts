import { EXIT_STOPPED, type WorkerRequest, type WorkerSpec } from "../worker-protocol.ts";
import { type ControlServer, listenForControl, type Reply } from "./control-server.ts";
import type { GuestEnd } from "./guest.ts";
import { absentStatus, HeldContainer } from "./held-container.ts";
import type { PreparedComponents } from "./prepared-components.ts";
import type { ProcessResources, WorkerExpectation } from "./run-container.ts";

/** What SIGTERM grants, as a pod's default. */
const DEFAULT_GRACE_MS = 30_000;
/** A worker that is started at once does not need the warm-up, and would only wait for it. */
const WARM_UP_AFTER_MS = 250;
/** A supervisor connects as soon as it can; one that did not by then was killed before. */
const UNCLAIMED_MS = 60_000;
const GUEST_UMASK = 0o022;

/**
 * The life of a worker process: it listens on the control socket, waits for its first `start`, and
 * holds one container or, if that one shares, several. It ends with the code of a container that is
 * alone, and when nobody is left who could give it one. Everything that running needs is loaded
 * while it waits, so that a warm worker starts a guest at once; of components only what it
 * `expects`.
 */
export function runWorker(controlPath: string, expects: WorkerExpectation = {}): void {
  const worker = new Worker();
  const control = listenForControl(controlPath, {
    onRequest: (request, reply) => worker.handle(request, reply),
    onAlone: () => worker.endIfEmpty(),
  });
  worker.control = control;
  process.umask(GUEST_UMASK);
  process.on("SIGTERM", () => worker.stopAll(DEFAULT_GRACE_MS));
  // The terminal's Ctrl-C is for the server; it decides what happens to its pods.
  process.on("SIGINT", () => undefined);
  process.on("SIGHUP", () => undefined);
  setImmediate(() => void loadRuntime());
  setTimeout(() => void worker.warmUp(expects), WARM_UP_AFTER_MS);
  setTimeout(() => worker.endIfAlone(), UNCLAIMED_MS);
}

function loadRuntime(): Promise<typeof import("./run-container.ts")> {
  return import("./run-container.ts");
}

class Worker {
  control: ControlServer | undefined;
  readonly #containers = new Map<string, HeldContainer>();
  /** Containers it may hold at once; known from the first start on. */
  #capacity: number | undefined;
  #resources: ProcessResources | undefined;
  #prepared: PreparedComponents | undefined;
  #leaving = false;

  handle(request: WorkerRequest, reply: Reply): void {
    switch (request.type) {
      case "status": {
        const { containerId } = request;
        return reply(this.#containers.get(containerId)?.status ?? absentStatus(containerId));
      }
      case "stop": {
        const { containerId, gracePeriodMs } = request;
        reply({ type: "stopping", containerId });
        if (this.#capacity === undefined) process.exit(EXIT_STOPPED);
        return this.#containers.get(containerId)?.stop(gracePeriodMs);
      }
      case "start":
        return this.#start(request.spec, reply);
    }
  }

  /** Loads and exercises what running needs, unless a start came first. */
  async warmUp(expects: WorkerExpectation): Promise<void> {
    const runtime = await loadRuntime();
    const isIdle = (): boolean => this.#capacity === undefined;
    if (!isIdle()) return;
    this.#prepared = await runtime.warmUp(expects);
    await this.#prepared?.prepare(expects.components ?? [], isIdle);
  }

  /** A worker that runs nothing ends at once; others when their last container has ended. */
  stopAll(gracePeriodMs: number): void {
    if (this.#containers.size === 0) process.exit(EXIT_STOPPED);
    this.#leaving = true;
    for (const container of this.#containers.values()) container.stop(gracePeriodMs);
  }

  /**
   * The supervisor is gone and has left no guest behind: no other one will bring any. The shell
   * around the worker ends it in the same case, unless it was killed itself.
   */
  endIfEmpty(): void {
    if (this.#containers.size === 0) process.exit(EXIT_STOPPED);
  }

  endIfAlone(): void {
    if (this.control?.connections === 0) this.endIfEmpty();
  }

  #start(spec: WorkerSpec, reply: Reply): void {
    const { containerId, shared } = spec;
    const capacity = shared?.capacity ?? 1;
    const refusal = this.#refusal(containerId, capacity);
    if (refusal !== undefined) return reply({ type: "error", containerId, message: refusal });
    this.#capacity = capacity;
    const container = new HeldContainer(spec, (end) => {
      if (shared === undefined) process.exit(end.exitCode);
      this.#ended(containerId, end);
    });
    this.#containers.set(containerId, container);
    void loadRuntime().then((runtime) => {
      const resources = (this.#resources ??= runtime.createResources(spec, this.#prepared));
      return container.start({ prepareContainer: runtime.prepareContainer, resources }, reply);
    });
  }

  /** Why a container cannot be taken in; `undefined` when it can. */
  #refusal(containerId: string, capacity: number): string | undefined {
    if (this.#containers.has(containerId)) return `${containerId} was started already`;
    if (this.#leaving) return "this process is about to end";
    if (this.#capacity !== undefined && this.#capacity !== capacity) {
      return `this process is for ${this.#capacity} containers, not for ${capacity}`;
    }
    if (this.#containers.size < capacity) return undefined;
    return `this process holds ${capacity} containers already`;
  }

  #ended(containerId: string, end: GuestEnd): void {
    this.#containers.delete(containerId);
    this.control?.tell({ type: "ended", containerId });
    if (this.#containers.size > 0) return;
    if (this.#leaving) process.exit(end.exitCode);
    this.endIfAlone();
  }
}
