import { statSync } from "node:fs";
import { openDatabase } from "./database.ts";
import type { SqliteConnection } from "./database.ts";
import type { CheckpointOutcome, Exclusive, StateStorage } from "./state-storage.ts";
import type { StateTask, StateWorkerRequest, StateWorkerResponse } from "./state-worker.ts";

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
  readonly db: SqliteConnection;
  readonly #options: SqliteStateOptions;
  #worker: Worker | undefined;
  #cancelIdle: (() => void) | undefined;
  /** The end of the last task: they run one after the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: SqliteStateOptions) {
    this.#options = options;
    this.db = openDatabase(options.path);
    // The first write into a new write-ahead log syncs its header: now, when nobody waits.
    this.db.exec("UPDATE local SET wal_starts = wal_starts + 1");
  }

  uncheckpointedBytes(): number {
    return statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  async checkpoint(exclusive: Exclusive): Promise<CheckpointOutcome> {
    const outcome = await this.#run({ type: "checkpoint" });
    if (outcome === "partial") return outcome;
    // Once more for what was written meanwhile, so that writers wait for as little as possible.
    await this.#run({ type: "checkpoint" });
    await exclusive(() => this.#run({ type: "restart-wal" }));
    return outcome;
  }

  async snapshot(path: string): Promise<void> {
    await this.#run({ type: "snapshot", path });
  }

  /** The checkpoint comes before: closing the last connection would do one on this thread. */
  async close(): Promise<void> {
    await this.#tail;
    this.#endWorker();
    this.db.close();
  }

  #run(task: StateTask): Promise<CheckpointOutcome> {
    const result = this.#tail.then(() => this.#ask(task));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #ask(task: StateTask): Promise<CheckpointOutcome> {
    this.#cancelIdle?.();
    this.#worker ??= new Worker(new URL("./state-worker.ts", import.meta.url), { smol: true });
    const request: StateWorkerRequest = { database: this.#options.path, task };
    try {
      const response = await answerOf(this.#worker, request);
      if (response.type === "done") return response.outcome;
      throw new Error(`${task.type} of ${this.db.name} failed: ${response.message}`);
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
