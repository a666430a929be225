import { Worker } from "node:worker_threads";
import type { WorkerSpec } from "../worker-protocol.ts";

/**
 * What the two threads share: how many instances are entered, and a count that changes whenever one
 * is entered or left.
 */
export const CELLS = { instances: 0, changes: 1 } as const;

/** What the watching thread is told. */
export interface BlockedLoopOrder {
  readonly cells: Int32Array;
  readonly timeoutMs: number;
  readonly resultPath: string;
  readonly logPath: string;
  readonly logMaxBytes: number;
}

/**
 * Ends the process when a guest computes past the deadline of its request. The deadline itself is a
 * timer of the event loop, and such a guest blocks that loop: only another thread can tell. That
 * thread sleeps while no instance is entered.
 */
export class BlockedLoopWatch {
  readonly #cells = new Int32Array(new SharedArrayBuffer(8));

  /** Starts the thread; it does not keep the process alive. */
  start(spec: Pick<WorkerSpec, "resultPath" | "logPath" | "logMaxBytes">, timeoutMs: number): void {
    const { resultPath, logPath, logMaxBytes } = spec;
    const cells = this.#cells;
    const workerData: BlockedLoopOrder = { cells, timeoutMs, resultPath, logPath, logMaxBytes };
    new Worker(new URL("./blocked-loop-thread.ts", import.meta.url), { workerData }).unref();
  }

  /** Right before an instance is entered. */
  enter(): void {
    Atomics.add(this.#cells, CELLS.changes, 1);
    if (Atomics.add(this.#cells, CELLS.instances, 1) === 0) {
      Atomics.notify(this.#cells, CELLS.instances);
    }
  }

  /** While an instance may wait for longer than the deadline: the event loop still runs. */
  beat(): void {
    Atomics.add(this.#cells, CELLS.changes, 1);
  }

  /** When an instance ended, whatever way. */
  leave(): void {
    Atomics.add(this.#cells, CELLS.changes, 1);
    Atomics.sub(this.#cells, CELLS.instances, 1);
  }
}
