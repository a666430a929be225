import { openDatabase } from "./database.ts";
import type { SqliteConnection } from "./database.ts";
import { finishInstall } from "./install-file.ts";
import { isSqliteFull, StateFileError, StateFullError } from "./state-error.ts";
import type {
  CheckpointOutcome,
  Exclusive,
  StatePoint,
  StateStorage,
  WriteAhead,
} from "./state-storage.ts";
import type {
  CheckpointRow,
  StateTask,
  StateTaskResult,
  StateWorkerRequest,
  StateWorkerResponse,
} from "./state-worker.ts";

/** A page of the state in the write-ahead log, with its header. */
const FRAME_BYTES = 4_096 + 24;

export interface SqliteStateOptions {
  readonly path: string;
  /** Calls back when the worker has had nothing to do for long enough; returns how to cancel. */
  readonly whenIdle: (callback: () => void) => () => void;
}

/**
 * The state in a file, with a worker thread for all that waits for the disk. The thread has its own
 * connection, starts with the first task and ends when it is idle.
 */
export class SqliteState implements StateStorage {
  readonly #options: SqliteStateOptions;
  #db: SqliteConnection;
  #worker: Worker | undefined;
  #cancelIdle: (() => void) | undefined;
  /** The end of the last task: they run one after the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: SqliteStateOptions) {
    this.#options = options;
    finishInstall(options.path);
    this.#db = openState(options.path);
  }

  get db(): SqliteConnection {
    return this.#db;
  }

  writeAhead(): WriteAhead {
    const rows = this.#db.pragma("wal_checkpoint(NOOP)") as CheckpointRow[];
    const { log = 0, checkpointed = 0 } = rows[0] ?? {};
    return { bytes: log * FRAME_BYTES, unmovedBytes: (log - checkpointed) * FRAME_BYTES };
  }

  moveWriteAhead(): Promise<CheckpointOutcome> {
    return this.#checkpoint({ type: "checkpoint" });
  }

  async checkpoint(exclusive: Exclusive): Promise<CheckpointOutcome> {
    const outcome = await this.moveWriteAhead();
    if (outcome !== "complete") return outcome;
    // Once more for what was written meanwhile, so that writers wait for as little as possible.
    await this.moveWriteAhead();
    await exclusive(() => this.#checkpoint({ type: "restart-wal" }));
    return outcome;
  }

  snapshot(path: string): Promise<StatePoint> {
    return this.#point({ type: "snapshot", path });
  }

  async install(path: string): Promise<StatePoint> {
    const point = await this.#point({ type: "check", path });
    await this.#run({ type: "hold" });
    this.#db.close();
    await this.#run({ type: "replace", path });
    this.#db = openState(this.#options.path);
    return point;
  }

  /** The checkpoint comes before: closing the last connection would do one on this thread. */
  async close(): Promise<void> {
    await this.#tail;
    this.#endWorker();
    this.#db.close();
  }

  async #checkpoint(task: StateTask): Promise<CheckpointOutcome> {
    const result = await this.#run(task);
    if (result.type === "checkpoint") return result.outcome;
    throw new Error(`${task.type} answered with ${result.type}`);
  }

  async #point(task: StateTask): Promise<StatePoint> {
    const result = await this.#run(task);
    if (result.type === "point") return result.point;
    throw new Error(`${task.type} answered with ${result.type}`);
  }

  #run(task: StateTask): Promise<StateTaskResult> {
    const result = this.#tail.then(() => this.#ask(task));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #ask(task: StateTask): Promise<StateTaskResult> {
    this.#cancelIdle?.();
    this.#worker ??= new Worker(new URL("./state-worker.ts", import.meta.url), { smol: true });
    const request: StateWorkerRequest = { database: this.#options.path, task };
    try {
      const response = await answerOf(this.#worker, request);
      if (response.type === "done") return response.result;
      const message = `${task.type} of ${this.#options.path} failed: ${response.message}`;
      if (response.reason === "full") throw new StateFullError(message);
      throw response.reason === "state-file" ? new StateFileError(message) : new Error(message);
    } finally {
      this.#cancelIdle = this.#options.whenIdle(() => this.#endWorker());
    }
  }

  #endWorker(): void {
    this.#cancelIdle?.();
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

/** The first write into a new write-ahead log syncs its header: now, when nobody waits. */
function openState(path: string): SqliteConnection {
  const db = openDatabase(path);
  try {
    db.exec("UPDATE local SET wal_starts = wal_starts + 1");
  } catch (error) {
    // Without space the first entry that is applied finds out, and waits for some.
    if (isSqliteFull(error)) return db;
    db.close();
    throw error;
  }
  return db;
}

/** The worker's next message; it answers one request at a time. */
function answerOf(worker: Worker, request: StateWorkerRequest): Promise<StateWorkerResponse> {
  const answered = new AbortController();
  const once = { signal: answered.signal };
  return new Promise<StateWorkerResponse>((resolve, reject) => {
    worker.addEventListener(
      "message",
      (event: MessageEvent<StateWorkerResponse>) => resolve(event.data),
      once,
    );
    worker.addEventListener("error", (event) => reject(new Error(event.message)), once);
    worker.postMessage(request, []);
  }).finally(() => answered.abort());
}
