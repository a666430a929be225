import {
  EXIT_CANNOT_RUN,
  EXIT_STOPPED,
  type FacadeStatus,
  type WorkerRequest,
  type WorkerSpec,
  type WorkerStatus,
} from "../worker-protocol.ts";
import { listenForControl, type Reply } from "./control-server.ts";
import type { GuestEnd } from "./guest.ts";
import type { Container } from "./run-container.ts";

/** What SIGTERM grants, as a pod's default. */
const DEFAULT_GRACE_MS = 30_000;
/** How long no connection must be open before a stopping worker ends. */
export const QUIET_MS = 50;
/**
 * How long nothing must move on connections whose requests are answered before a stopping worker
 * ends although they are open: a client that only keeps its connection would hold it for long.
 */
export const IDLE_CONNECTION_MS = 2_000;
/** A worker that is started at once does not need the warm-up, and would only wait for it. */
const WARM_UP_AFTER_MS = 30;
/** A supervisor connects as soon as it can; one that did not by then was killed before. */
const UNCLAIMED_MS = 60_000;
const DRAIN_CHECK_MS = 10;
const GUEST_UMASK = 0o022;

type State =
  | { readonly phase: "warm" }
  | { readonly phase: "starting"; stopped: boolean }
  | { readonly phase: "running" | "draining"; readonly container: Container };

/**
 * The life of a worker process: it listens on the control socket, waits for its one `start`, runs
 * the guest and ends with the guest's exit code. Everything that running needs is loaded while it
 * waits, so that a warm worker starts a guest at once.
 */
export function runWorker(controlPath: string): void {
  const worker = new Worker();
  const control = listenForControl(controlPath, {
    onRequest: (request, reply) => worker.handle(request, reply),
    onAlone: () => worker.endUnlessStarted(),
  });
  process.umask(GUEST_UMASK);
  process.on("SIGTERM", () => worker.stop(DEFAULT_GRACE_MS));
  // The terminal's Ctrl-C is for the server; it decides what happens to its pods.
  process.on("SIGINT", () => undefined);
  process.on("SIGHUP", () => undefined);
  setImmediate(() => void loadRuntime());
  setTimeout(() => void worker.warmUp(), WARM_UP_AFTER_MS);
  setTimeout(() => {
    if (control.connections === 0) worker.endUnlessStarted();
  }, UNCLAIMED_MS);
}

function loadRuntime(): Promise<typeof import("./run-container.ts")> {
  return import("./run-container.ts");
}

class Worker {
  #state: State = { phase: "warm" };

  handle(request: WorkerRequest, reply: Reply): void {
    switch (request.type) {
      case "status":
        return reply(this.#status());
      case "stop":
        reply({ type: "stopping" });
        return this.stop(request.gracePeriodMs);
      case "start":
        if (this.#state.phase !== "warm") {
          return reply({ type: "error", message: `already ${this.#state.phase}` });
        }
        void this.#start(request.spec, reply);
    }
  }

  /** Loads and exercises what running needs, unless a start came first. */
  async warmUp(): Promise<void> {
    const runtime = await loadRuntime();
    if (this.#state.phase === "warm") await runtime.warmUp();
  }

  /** Lets open connections finish, then ends. A worker that runs nothing ends at once. */
  stop(gracePeriodMs: number): void {
    const state = this.#state;
    if (state.phase === "warm") process.exit(EXIT_STOPPED);
    if (state.phase === "starting") {
      state.stopped = true;
      return;
    }
    if (state.phase === "running") {
      this.#state = { ...state, phase: "draining" };
    }
    this.#drain(state.container, gracePeriodMs);
  }

  /**
   * The supervisor that made this worker is gone before it gave it a guest: no other one will. The
   * shell around the worker ends it in the same case, unless it was killed itself.
   */
  endUnlessStarted(): void {
    if (this.#state.phase === "warm") process.exit(EXIT_STOPPED);
  }

  async #start(spec: WorkerSpec, reply: Reply): Promise<void> {
    const starting: State = { phase: "starting", stopped: false };
    this.#state = starting;
    const runtime = await loadRuntime();
    let container: Container;
    try {
      container = await runtime.prepareContainer(spec);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      runtime.leaveResult(spec.resultPath, {
        exitCode: EXIT_CANNOT_RUN,
        reason: "ContainerCannotRun",
        message,
      });
      reply({ type: "failed", reason: "ContainerCannotRun", message });
      process.exit(EXIT_CANNOT_RUN);
    }
    this.#state = { phase: "running", container };
    reply({ type: "started", facade: container.facade });
    if (starting.stopped) this.stop(0);
    this.#end(container, await container.guest.run());
  }

  /** A later call, with a shorter grace period for example, counts beside the earlier one. */
  #drain(container: Container, gracePeriodMs: number): void {
    const stopped: GuestEnd = { exitCode: EXIT_STOPPED, reason: "Error", message: "" };
    if (gracePeriodMs <= 0) this.#end(container, stopped);
    const { guest } = container;
    const startMs = performance.now();
    let [busyMs, movedMs, activity] = [startMs, startMs, guest.activity];
    setInterval(() => {
      const nowMs = performance.now();
      if (guest.connections > 0) busyMs = nowMs;
      if (guest.owesAnswer || guest.activity !== activity) movedMs = nowMs;
      activity = guest.activity;
      const over = nowMs - startMs >= gracePeriodMs;
      const quiet = nowMs - busyMs >= QUIET_MS || nowMs - movedMs >= IDLE_CONNECTION_MS;
      if (over || quiet) this.#end(container, stopped);
    }, DRAIN_CHECK_MS);
  }

  #end(container: Container, end: GuestEnd): never {
    container.finish(end);
    process.exit(end.exitCode);
  }

  #status(): WorkerStatus {
    const state = this.#state;
    const facade: readonly FacadeStatus[] = [];
    if (state.phase === "warm" || state.phase === "starting") {
      return { type: "status", phase: "warm", connections: 0, memoryBytes: 0, facade };
    }
    const { guest } = state.container;
    return {
      type: "status",
      phase: state.phase,
      connections: guest.connections,
      memoryBytes: guest.memoryBytes,
      facade: state.container.facade,
    };
  }
}
