import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, type Logger, sleep } from "../../lib/index.ts";
import type { ProcessSpawner, ProcessUsage } from "../process-spawner.ts";
import {
  type ContainerEventType,
  type CpuThrottling,
  RuntimeError,
  type StopOptions,
} from "../runtime.ts";
import { ControlConnection } from "./control-connection.ts";
import { containerGroup } from "./limits/container-group.ts";
import type { ProcessLimits } from "./limits/process-limits.ts";
import type { ContainerRecord, StateDirectory } from "./state-directory.ts";
import type { WarmPool } from "./warm-pool.ts";
import {
  controlPath,
  forgetWorker,
  readSmallFile,
  recordedExitCode,
  type WorkerAddress,
  workerDirectory,
  type WorkerProcess,
} from "./worker-process.ts";
import {
  EXIT_CANNOT_RUN,
  type FacadeStatus,
  parseWorkerResult,
  type WorkerResult,
  type WorkerSpec,
} from "./worker-protocol.ts";

export interface ContainerProcessOptions {
  readonly directory: StateDirectory;
  readonly pool: WarmPool;
  readonly spawner: ProcessSpawner;
  readonly limits: ProcessLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after the record changed and was saved. */
  readonly onChange: (type: ContainerEventType, record: ContainerRecord) => void;
}

/** A module that takes longer to compile and enter is given up. */
export const START_TIMEOUT_MS = 120_000;
/** A worker ends by itself at the end of the grace period; this much later it is killed. */
export const KILL_SLACK_MS = 500;
/** How long an adopted worker that was not seen running may take to say what it does. */
const ADOPT_ANSWER_MS = 2000;
/** How long the shell around a dead worker may take to record the exit code. */
const EXIT_CODE_TIMEOUT_MS = 3000;
const MAX_LOOK_INTERVAL_MS = 1000;
const RECONNECT_AFTER_MS = 64;
const SIGKILL_EXIT_CODE = 137;
const MAX_MESSAGE_LENGTH = 1024;

/** One container: its record, and the worker process behind it from start to end. */
export class ContainerProcess {
  /** Resolves when the container is in state `exited`. */
  readonly exited: Promise<void>;
  #record: ContainerRecord;
  #connection: ControlConnection | undefined;
  #outOfMemory = false;
  #starting = false;
  /** A stop came while the container still waited for a worker. */
  #cancelled = false;
  #abandoned = false;
  #onExited: () => void = () => undefined;
  readonly #options: ContainerProcessOptions;

  constructor(record: ContainerRecord, options: ContainerProcessOptions) {
    this.#record = record;
    this.#options = options;
    this.exited = new Promise((resolve) => {
      this.#onExited = resolve;
    });
    if (record.state === "exited") this.#onExited();
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  /** Errors: `start-failed`, `exhausted`, `invalid-config` when it was started before. */
  async start(spec: WorkerSpec): Promise<void> {
    if (this.#record.state !== "created" || this.#starting) {
      const why = `container ${spec.containerId} is ${this.#record.state}: only created ones start`;
      throw new RuntimeError("invalid-config", why);
    }
    this.#starting = true;
    const worker = await this.#options.pool.take().catch((error: Error) => {
      this.#finish({ exitCode: EXIT_CANNOT_RUN, reason: "ContainerCannotRun" }, error.message);
      throw error;
    });
    if (this.#cancelled) return this.#giveBack(worker);
    this.#save({ worker: { id: worker.id, identity: worker.identity } });
    this.#connection = worker.connection;
    for (const { unixPath } of spec.ports) {
      // Socket directories do not always outlive a reboot, as their pods' records do.
      mkdirSync(dirname(unixPath), { recursive: true, mode: 0o700 });
      // A predecessor that was killed could not remove its sockets.
      rmSync(unixPath, { force: true });
    }
    const cancel = this.#options.clock.after(START_TIMEOUT_MS, () => this.kill());
    // The worker loads the module meanwhile: moving a process may take the kernel milliseconds.
    const limited = this.#options.limits.place(worker.identity, containerGroup(this.#record));
    const reply = await worker.connection.start(spec).catch((error: Error) => error);
    cancel();
    await limited;
    worker.spawned?.release();
    if (!(reply instanceof Error) && reply.type === "started") {
      const startedAt = this.#options.clock.now();
      const warnings = unboundPorts(reply.facade);
      this.#save({ state: "running", startedAt, warnings });
      this.#options.onChange("started", this.#record);
      void this.#watch(this.#record.worker);
      return;
    }
    // A worker that hung up may live on without a guest.
    if (reply instanceof Error) this.kill();
    await this.#watch(this.#record.worker);
    const message = this.#record.message || (reply as { message: string }).message;
    throw new RuntimeError("start-failed", message);
  }

  /** Takes up a container that an earlier server left; resolves when its state is known. */
  async adopt(): Promise<void> {
    const { worker, state } = this.#record;
    if (state === "exited" || worker === undefined) return;
    if (!this.#options.spawner.isAlive(worker.identity)) return this.#watch(worker);
    // Whoever removed its sockets left it deaf: neither requests nor orders would reach it.
    this.#options.limits.adopt(worker.identity, containerGroup(this.#record));
    const reachable = existsSync(controlPath(this.#options.directory, worker.id));
    this.#connection = await this.#connect(worker);
    if (reachable && (state === "running" || (await this.#hasGuest()))) {
      if (state === "created") {
        this.#save({ state: "running", startedAt: this.#options.clock.now() });
      }
      void this.#watch(worker);
      return;
    }
    this.kill();
    return this.#watch(worker);
  }

  /**
   * Whether the start order came through before the server ended. A guest that computes without end
   * lets its worker answer nothing: no answer counts as no.
   */
  async #hasGuest(): Promise<boolean> {
    const asked = this.#connection?.status().catch(() => undefined);
    const late = Promise.withResolvers<undefined>();
    const cancel = this.#options.clock.after(ADOPT_ANSWER_MS, () => late.resolve(undefined));
    const status = await Promise.race([asked, late.promise]);
    cancel();
    return status !== undefined && status.phase !== "warm";
  }

  async stop({ gracePeriodMs }: StopOptions): Promise<void> {
    const { worker, state } = this.#record;
    if (state === "exited") return;
    if (worker === undefined) {
      this.#cancelled = true;
      return this.#starting ? this.exited : undefined;
    }
    if (gracePeriodMs <= 0) {
      this.kill();
      return this.exited;
    }
    const cancel = this.#options.clock.after(gracePeriodMs + KILL_SLACK_MS, () => this.kill());
    const asked = this.#connection?.stop(gracePeriodMs) ?? Promise.reject(new Error("no control"));
    asked.catch(() => this.#options.spawner.kill(worker.identity, "SIGTERM"));
    await this.exited;
    cancel();
  }

  /** SIGKILL; the record follows when the process is gone. */
  kill(options: { outOfMemory?: boolean } = {}): void {
    const { worker } = this.#record;
    if (worker === undefined) return;
    if (options.outOfMemory === true) this.#outOfMemory = true;
    this.#options.spawner.kill(worker.identity, "SIGKILL");
  }

  usage(): ProcessUsage | undefined {
    const { worker, state } = this.#record;
    if (worker === undefined || state !== "running") return undefined;
    return this.#options.spawner.usage(worker.identity);
  }

  throttling(): CpuThrottling | undefined {
    return this.#options.limits.throttling(containerGroup(this.#record));
  }

  /** Lets the worker run on without this server. */
  abandon(): void {
    this.#abandoned = true;
    this.#connection?.close();
  }

  #save(change: Partial<ContainerRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#options.directory.saveContainer(this.#record);
  }

  /** The worker arrived for a container that was stopped meanwhile: its guest is never entered. */
  #giveBack(worker: WorkerProcess): never {
    worker.spawned?.discard();
    worker.connection.close();
    forgetWorker(this.#options.directory, worker.id);
    const message = "stopped before it started";
    this.#finish({ exitCode: SIGKILL_EXIT_CODE, reason: "Error" }, message);
    throw new RuntimeError("start-failed", message);
  }

  async #connect(worker: WorkerAddress): Promise<ControlConnection | undefined> {
    const path = controlPath(this.#options.directory, worker.id);
    return ControlConnection.connect(path).catch(() => undefined);
  }

  /** Waits for the end of the process: the closing connection tells, and looking makes sure. */
  async #watch(worker: WorkerAddress | undefined): Promise<void> {
    if (worker === undefined) return;
    const { clock, spawner } = this.#options;
    let delayMs = 1;
    for (;;) {
      await this.#connection?.closed;
      if (this.#abandoned) return;
      if (!spawner.isAlive(worker.identity)) break;
      await sleep(clock, delayMs);
      delayMs = Math.min(delayMs * 2, MAX_LOOK_INTERVAL_MS);
      if (this.#abandoned) return;
      if (delayMs < RECONNECT_AFTER_MS || !spawner.isAlive(worker.identity)) continue;
      this.#connection = await this.#connect(worker);
    }
    await this.#conclude(worker);
  }

  async #conclude(worker: WorkerAddress): Promise<void> {
    const { clock, directory } = this.#options;
    const result = readResult(directory.resultPath(this.#record.id));
    const deadlineMs = clock.monotonic() + EXIT_CODE_TIMEOUT_MS;
    let code = result?.exitCode ?? recordedExitCode(directory, worker.id);
    for (let delayMs = 1; code === undefined && clock.monotonic() < deadlineMs; delayMs *= 2) {
      await sleep(clock, delayMs);
      code = recordedExitCode(directory, worker.id);
    }
    if (this.#abandoned) return;
    const finishedAt = Date.parse(result?.finishedAt ?? "") || this.#endedAt(worker);
    const exitCode = code ?? SIGKILL_EXIT_CODE;
    const group = containerGroup(this.#record);
    const noMemory = this.#outOfMemory || (!result && this.#options.limits.ranOutOfMemory(group));
    const reason = noMemory ? "OOMKilled" : (result?.reason ?? reasonOf(exitCode));
    const message = result?.message ?? this.#lastWords(worker, exitCode);
    forgetWorker(directory, worker.id);
    void this.#options.limits.remove(group);
    this.#finish({ exitCode, reason, finishedAt }, message);
  }

  #finish(end: Partial<ContainerRecord>, message: string): void {
    const finishedAt = this.#options.clock.now();
    this.#save({ finishedAt, ...end, state: "exited", ...(message === "" ? {} : { message }) });
    this.#onExited();
    this.#options.onChange("stopped", this.#record);
  }

  /** When the shell recorded the end, if it did: the server may have been away. */
  #endedAt(worker: WorkerAddress): number {
    try {
      const file = join(workerDirectory(this.#options.directory, worker.id), "exit-code");
      return Math.round(statSync(file).mtimeMs);
    } catch {
      return this.#options.clock.now(); // No record: now is the earliest known end.
    }
  }

  /** What a worker that died without a result printed; nothing for an ordinary kill. */
  #lastWords(worker: WorkerAddress, exitCode: number): string {
    if (exitCode === SIGKILL_EXIT_CODE) return "";
    const directory = workerDirectory(this.#options.directory, worker.id);
    return readSmallFile(join(directory, "stderr")).slice(-MAX_MESSAGE_LENGTH).trim();
  }
}

/** A facade that is not there is worth a word; the port is served on its socket all the same. */
function unboundPorts(facades: readonly FacadeStatus[]): string[] {
  return facades.flatMap((facade) =>
    facade.bound ? [] : [`Port ${facade.port} is not bound on the pod's address: ${facade.error}`],
  );
}

function reasonOf(exitCode: number): "Completed" | "Error" {
  return exitCode === 0 ? "Completed" : "Error";
}

function readResult(path: string): WorkerResult | undefined {
  const text = readSmallFile(path);
  if (text === "") return undefined;
  try {
    return parseWorkerResult(text);
  } catch {
    return undefined; // The shell's record of the exit code is what is left to go by.
  }
}
