import { appendFileSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, type Logger, sleep } from "../../lib/index.ts";
import type { ProcessSpawner, ProcessUsage } from "../process-spawner.ts";
import {
  type ContainerEventType,
  type ContainerStats,
  type CpuThrottling,
  RuntimeError,
  type StopOptions,
} from "../runtime.ts";
import type { ControlConnection } from "./control-connection.ts";
import { MAX_BLOCK_LIMIT_MS } from "./density/trust-domain.ts";
import type { SharingContainer, WorkerSeats } from "./density/worker-seats.ts";
import { containerGroup } from "./limits/container-group.ts";
import { droppedLogBytes } from "./limits/dropped-log-bytes.ts";
import type { ProcessLimits } from "./limits/process-limits.ts";
import type { ContainerRecord, StateDirectory } from "./state-directory.ts";
import {
  controlPath,
  readSmallFile,
  recordedExitCode,
  type WorkerAddress,
  workerDirectory,
  type WorkerProcess,
} from "./worker-process.ts";
import {
  ALARM_EXIT_CODE,
  blockedResultPath,
  EXIT_CANNOT_RUN,
  type FacadeStatus,
  parseWorkerResult,
  type WorkerResult,
  type WorkerSpec,
} from "./worker-protocol.ts";

export interface ContainerProcessOptions {
  readonly directory: StateDirectory;
  readonly seats: WorkerSeats;
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
/**
 * A shared worker that does not end a guest for so long is blocked by one of them: it is killed.
 * Its own watch acts before, and names the guest.
 */
export const SHARED_DEAF_MS = MAX_BLOCK_LIMIT_MS + 10_000;
/** How long an adopted worker that was not seen running may take to say what it does. */
const ADOPT_ANSWER_MS = 2000;
/** How long the shell around a dead worker may take to record the exit code. */
const EXIT_CODE_TIMEOUT_MS = 3000;
const MAX_LOOK_INTERVAL_MS = 1000;
const RECONNECT_AFTER_MS = 64;
const SIGKILL_EXIT_CODE = 137;
const SHARED_PROCESS_ENDED = "the worker process it shares with others ended";
const MAX_MESSAGE_LENGTH = 1024;

/** How a container runs, beyond what its worker is told. */
export interface StartOptions {
  /** Absent for a worker process of its own. */
  readonly sharing?: SharingContainer;
  /** Makes its worker, where none of those that wait will do. */
  readonly launch?: () => Promise<WorkerProcess>;
}

/** One container: its record, and the worker process behind it from start to end. */
export class ContainerProcess {
  /** Resolves when the container is in state `exited`. */
  readonly exited: Promise<void>;
  #record: ContainerRecord;
  #connection: ControlConnection | undefined;
  /** Resolves when its limits are in force. */
  #limited = Promise.resolve();
  /** Resolves when the guest may have ended: looking at it makes sure. */
  #mayHaveEnded: Promise<void> | undefined;
  #outOfMemory = false;
  #killed = false;
  #cancelKill: () => void = () => undefined;
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
  async start(spec: WorkerSpec, { sharing, launch }: StartOptions = {}): Promise<void> {
    if (this.#record.state !== "created" || this.#starting) {
      const why = `container ${spec.containerId} is ${this.#record.state}: only created ones start`;
      throw new RuntimeError("invalid-config", why);
    }
    this.#starting = true;
    const seats = this.#options.seats;
    const seat = launch?.() ?? seats.take(spec.containerId, sharing);
    const worker = await seat.catch((error: Error) => {
      this.#finish({ exitCode: EXIT_CANNOT_RUN, reason: "ContainerCannotRun" }, error.message);
      throw error;
    });
    if (this.#cancelled) return this.#giveBack(worker);
    const { id, identity, shared } = worker;
    this.#save({ worker: { id, identity, ...(shared === undefined ? {} : { shared }) } });
    this.#follow(worker.connection);
    for (const { unixPath } of spec.ports) {
      // Socket directories do not always outlive a reboot, as their pods' records do.
      mkdirSync(dirname(unixPath), { recursive: true, mode: 0o700 });
      // A predecessor that was killed could not remove its sockets.
      rmSync(unixPath, { force: true });
    }
    const cancel = this.#options.clock.after(START_TIMEOUT_MS, () => this.kill());
    // Moving a process takes the kernel 10 ms and more. The guest is entered without waiting for
    // it, and so is its start told; let go of is the worker only when it is limited.
    if (sharing === undefined) this.#limited = this.#limit(worker);
    const reply = await worker.connection.start(spec).catch((error: Error) => error);
    cancel();
    void this.#limited.then(() => worker.spawned?.release());
    if (!(reply instanceof Error) && reply.type === "started") {
      const startedAt = this.#options.clock.now();
      const warnings = unboundPorts(reply.facade);
      this.#save({ state: "running", startedAt, warnings });
      this.#options.onChange("started", this.#record);
      void this.#watch(this.#record.worker);
      return;
    }
    // A worker that hung up may live on without a guest.
    if (reply instanceof Error && this.#options.spawner.isAlive(worker.identity)) this.kill();
    await this.#watch(this.#record.worker);
    const message = this.#record.message || (reply as { message: string }).message;
    throw new RuntimeError("start-failed", message);
  }

  #limit(worker: WorkerAddress): Promise<void> {
    return this.#options.limits.place(worker.identity, containerGroup(this.#record));
  }

  /** Takes up a container that an earlier server left; resolves when its state is known. */
  async adopt(): Promise<void> {
    const { worker, state } = this.#record;
    if (state === "exited" || worker === undefined) return;
    const group = containerGroup(this.#record);
    const isShared = worker.shared !== undefined;
    this.#options.seats.adopt(this.#record.id, worker, group);
    if (!this.#options.spawner.isAlive(worker.identity)) return this.#watch(worker);
    // Whoever removed its sockets left it deaf: neither requests nor orders would reach it.
    if (!isShared) this.#options.limits.adopt(worker.identity, group);
    const reachable = existsSync(controlPath(this.#options.directory, worker.id));
    this.#follow(await this.#options.seats.connect(worker));
    // A worker of its own that was seen running is, until its process ends: it needs no answer.
    const asks = isShared || state !== "running";
    const held = asks && reachable ? await this.#isHeld() : undefined;
    if (isShared && held === false) return this.#conclude(worker);
    if (reachable && held !== false && (state === "running" || held)) {
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
   * Whether the worker holds the container: the start order may not have come through before the
   * server ended. A guest that computes without end lets its worker answer nothing: `undefined`.
   */
  async #isHeld(): Promise<boolean | undefined> {
    const asked = this.#connection?.status(this.#record.id).catch(() => undefined);
    const late = Promise.withResolvers<undefined>();
    const cancel = this.#options.clock.after(ADOPT_ANSWER_MS, () => late.resolve(undefined));
    const status = await Promise.race([asked, late.promise]);
    cancel();
    return status === undefined ? undefined : status.phase !== "absent";
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
    const asked =
      this.#connection?.stop(this.#record.id, gracePeriodMs) ??
      Promise.reject(new Error("no control"));
    asked.catch(() => {
      // A signal would be for all containers of a shared worker: its time runs out instead.
      if (worker.shared === undefined) this.#options.spawner.kill(worker.identity, "SIGTERM");
    });
    await this.exited;
    cancel();
  }

  /** Ends the guest at once; the record follows when it is gone. */
  kill(options: { outOfMemory?: boolean } = {}): void {
    const { worker } = this.#record;
    if (worker === undefined) return;
    if (options.outOfMemory === true) this.#outOfMemory = true;
    if (worker.shared === undefined) return this.#killProcess(worker);
    if (this.#killed) return;
    this.#killed = true;
    this.#cancelKill = this.#options.clock.after(SHARED_DEAF_MS, () => this.#killProcess(worker));
    void this.#killGuest(worker);
  }

  /** Ends the guest alone; a worker that nobody can reach any more goes with all its guests. */
  async #killGuest(worker: WorkerAddress): Promise<void> {
    const connection = await this.#options.seats.connect(worker);
    if (connection === undefined) this.#killProcess(worker);
    else await connection.stop(this.#record.id, 0).catch(() => undefined);
  }

  #killProcess({ identity }: WorkerAddress): void {
    this.#options.spawner.kill(identity, "SIGKILL");
  }

  /** What the process uses; `undefined` when there is none, or one that others share. */
  usage(): ProcessUsage | undefined {
    const { worker, state } = this.#record;
    if (worker === undefined || worker.shared !== undefined || state !== "running")
      return undefined;
    return this.#options.spawner.usage(worker.identity);
  }

  /** What the container uses: in a shared process, what the guest holds and has computed. */
  async stats(): Promise<ContainerStats | undefined> {
    const { id, worker, state, config } = this.#record;
    const dropped = droppedLogBytes(config.logPath);
    const logBytesDropped = dropped === undefined ? {} : { logBytesDropped: dropped };
    if (worker?.shared === undefined || state !== "running") {
      const own = this.#ownStats();
      return own && { ...own, ...logBytesDropped };
    }
    const status = await this.#connection?.status(id).catch(() => undefined);
    if (status === undefined || status.phase === "absent") return undefined;
    const { memoryBytes, cpuNanoseconds } = status;
    return { memoryBytes, cpuNanoseconds, ...logBytesDropped };
  }

  #ownStats(): ContainerStats | undefined {
    const usage = this.usage();
    if (usage === undefined) return undefined;
    const throttling = this.throttling();
    return {
      memoryBytes: usage.residentBytes,
      cpuNanoseconds: usage.cpuNanoseconds,
      ...(throttling === undefined ? {} : { throttling }),
    };
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
    if (worker.shared === undefined) {
      worker.spawned?.discard();
      worker.connection.close();
    }
    this.#options.seats.leave(this.#record.id, worker);
    const message = "stopped before it started";
    this.#finish({ exitCode: SIGKILL_EXIT_CODE, reason: "Error" }, message);
    throw new RuntimeError("start-failed", message);
  }

  #follow(connection: ControlConnection | undefined): void {
    this.#connection = connection;
    this.#mayHaveEnded = connection?.ended(this.#record.id);
  }

  /** Whether the guest is gone, with its process or alone. */
  async #isGone(worker: WorkerAddress): Promise<boolean> {
    if (!this.#options.spawner.isAlive(worker.identity)) return true;
    if (worker.shared === undefined) return false;
    const status = await this.#connection?.status(this.#record.id).catch(() => undefined);
    return status?.phase === "absent";
  }

  /** Waits for the end: the worker or the closing connection tells, and looking makes sure. */
  async #watch(worker: WorkerAddress | undefined): Promise<void> {
    if (worker === undefined) return;
    const { clock, spawner, seats } = this.#options;
    let delayMs = 1;
    for (;;) {
      await this.#mayHaveEnded;
      if (this.#abandoned) return;
      if (await this.#isGone(worker)) break;
      await sleep(clock, delayMs);
      delayMs = Math.min(delayMs * 2, MAX_LOOK_INTERVAL_MS);
      if (this.#abandoned) return;
      if (delayMs < RECONNECT_AFTER_MS || !spawner.isAlive(worker.identity)) continue;
      this.#follow(await seats.connect(worker));
      // What happened in between was told to nobody.
      if (await this.#isGone(worker)) break;
    }
    await this.#conclude(worker);
  }

  async #conclude(worker: WorkerAddress): Promise<void> {
    const { directory, limits, seats } = this.#options;
    const path = directory.resultPath(this.#record.id);
    let result = readResult(path);
    let code = result?.exitCode ?? (await this.#processCode(worker));
    if (this.#abandoned) return;
    if (result === undefined && code === ALARM_EXIT_CODE && worker.shared === undefined) {
      result = this.#blocked(path, worker);
      code = result?.exitCode ?? code;
    }
    const finishedAt = Date.parse(result?.finishedAt ?? "") || this.#endedAt(worker);
    const exitCode = this.#killed ? SIGKILL_EXIT_CODE : (code ?? SIGKILL_EXIT_CODE);
    const group = containerGroup(this.#record);
    const noMemory = this.#outOfMemory || (!result && limits.ranOutOfMemory(group));
    const reason = noMemory ? "OOMKilled" : (result?.reason ?? reasonOf(exitCode));
    const message = result?.message ?? this.#lastWords(worker, exitCode);
    this.#cancelKill();
    seats.leave(this.#record.id, worker);
    if (worker.shared === undefined) void this.#limited.then(() => limits.remove(group));
    this.#finish({ exitCode, reason, finishedAt }, message);
  }

  /** What a guest left for the case that it blocks its process, which nobody could log then. */
  #blocked(resultPath: string, worker: WorkerAddress): WorkerResult | undefined {
    const result = readResult(blockedResultPath(resultPath));
    if (result === undefined) return undefined;
    const finishedAt = new Date(this.#endedAt(worker)).toISOString();
    const line = `${finishedAt} stderr F ${result.message}\n`;
    try {
      appendFileSync(this.#record.config.logPath, line);
    } catch (error) {
      this.#options.logger.warn("a container's last words are lost", { error: String(error) });
    }
    return { ...result, finishedAt };
  }

  /** What the shell around a dead process recorded, which may take it a moment. */
  async #processCode(worker: WorkerAddress): Promise<number | undefined> {
    const { clock, directory, spawner } = this.#options;
    const deadlineMs = clock.monotonic() + EXIT_CODE_TIMEOUT_MS;
    let code = recordedExitCode(directory, worker.id);
    for (let delayMs = 1; code === undefined && clock.monotonic() < deadlineMs; delayMs *= 2) {
      if (spawner.isAlive(worker.identity)) return undefined;
      await sleep(clock, delayMs);
      code = recordedExitCode(directory, worker.id);
    }
    return code;
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
    if (exitCode === SIGKILL_EXIT_CODE) {
      return worker.shared === undefined || this.#killed ? "" : SHARED_PROCESS_ENDED;
    }
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
