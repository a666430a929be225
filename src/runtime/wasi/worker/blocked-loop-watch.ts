import type { MessagePort } from "node:worker_threads";
import { blockedResultPath, EXIT_BLOCKED, type WorkerSpec } from "../worker-protocol.ts";
import { LoopAlarm, openKernelTimer } from "./kernel-timer.ts";
import { leaveResult } from "./leave-result.ts";

/**
 * What the two threads share: how many instances are entered, a count that changes whenever one is
 * entered or left, and which guest was entered last.
 */
export const CELLS = { instances: 0, changes: 1, guest: 2 } as const;

/** A guest the watching thread knows, with where its end is to be told. */
export interface WatchedGuest {
  readonly index: number;
  readonly timeoutMs: number;
  /** What its own deadline may be late by before it counts. */
  readonly slackMs: number;
  /** What it did when it did not end in time, for its message. */
  readonly what: string;
  /** How it is named to those that share its process. */
  readonly name: string;
  readonly resultPath: string;
  readonly logPath: string;
  readonly logMaxBytes: number;
}

/** What the watching thread is told while the process lives. */
export type WatchOrder =
  | { readonly type: "watch"; readonly guest: WatchedGuest }
  | { readonly type: "forget"; readonly index: number };

/** What the watching thread starts with. */
export interface BlockedLoopOrder {
  readonly cells: Int32Array;
  readonly orders: MessagePort;
}

/** What the event loop's own deadline may be late by, on a loaded machine, before it counts. */
const DEADLINE_SLACK_MS = 2000;

/** After computing for so long a guest waits, with the next call that may, for its neighbours. */
const SLICE_MS = 10;

type Places = Pick<WorkerSpec, "resultPath" | "logPath" | "logMaxBytes">;

/**
 * Ends the process when a guest computes past its deadline. The deadline itself is a timer of the
 * event loop, and such a guest blocks that loop. Where the process has one guest, a timer of the
 * kernel ends it, and its words are written down beforehand: a thread would cost 5 MB and 15 ms of
 * computing. Which of several guests it was only another thread can tell, which sleeps while no
 * instance is entered.
 */
export class BlockedLoopWatch {
  readonly #cells = new Int32Array(new SharedArrayBuffer(12));
  #alarm: LoopAlarm | undefined;
  #orders: MessagePort | undefined;
  #guests = 0;

  /** For the one guest of a process, whose requests are {@link enter}ed and {@link leave}d. */
  start(spec: Places, timeoutMs: number): void {
    const what = `a request computed for more than its ${timeoutMs} ms without end`;
    const timer = openKernelTimer();
    if (timer !== undefined) {
      const end = { exitCode: EXIT_BLOCKED, reason: "Error", message: what } as const;
      leaveResult(blockedResultPath(spec.resultPath), end);
      this.#alarm = new LoopAlarm(timer, timeoutMs + DEADLINE_SLACK_MS);
      return;
    }
    this.#watch({ name: "", what, timeoutMs, slackMs: DEADLINE_SLACK_MS, ...placesOf(spec) });
  }

  /** For one of the guests of a process: from its turns it is known which of them is at it. */
  share(spec: Places, options: { readonly name: string; readonly timeoutMs: number }): GuestTurns {
    const { name, timeoutMs } = options;
    const what = `it computed for more than ${timeoutMs} ms and let nobody else of its process run`;
    const index = this.#watch({ name, what, timeoutMs, slackMs: 0, ...placesOf(spec) });
    return new GuestTurns(this.#cells, index, () => this.#tell({ type: "forget", index }));
  }

  /** Right before an instance is entered. */
  enter(): void {
    if (this.#alarm !== undefined) return this.#alarm.enter();
    enter(this.#cells);
  }

  /** While an instance may wait for longer than the deadline: the event loop still runs. */
  beat(): void {
    Atomics.add(this.#cells, CELLS.changes, 1);
  }

  /** When an instance ended, whatever way. */
  leave(): void {
    if (this.#alarm !== undefined) return this.#alarm.leave();
    leave(this.#cells);
  }

  #watch(guest: Omit<WatchedGuest, "index">): number {
    const index = this.#guests++;
    this.#tell({ type: "watch", guest: { ...guest, index } });
    return index;
  }

  /** Starts the thread with the first guest; it does not keep the process alive. */
  #tell(order: WatchOrder): void {
    if (this.#orders === undefined) {
      // Loaded here, because that takes 5 ms and few workers have such a thread.
      const threads = process.getBuiltinModule("node:worker_threads");
      const { port1, port2 } = new threads.MessageChannel();
      const workerData: BlockedLoopOrder = { cells: this.#cells, orders: port2 };
      const options = { workerData, transferList: [port2] };
      new threads.Worker(new URL("./blocked-loop-thread.ts", import.meta.url), options).unref();
      port1.unref();
      this.#orders = port1;
    }
    this.#orders.postMessage(order, []);
  }
}

/**
 * When one of several guests computes: it is entered when its stack goes on, and left when it
 * waits. Between two turns of the event loop only one guest runs, so that the last one entered is
 * the one that does not come back.
 */
export class GuestTurns {
  readonly #cells: Int32Array;
  readonly #index: number;
  readonly #forget: () => void;
  #enteredMs: number | undefined;
  #computedMs = 0;

  constructor(cells: Int32Array, index: number, forget: () => void) {
    this.#cells = cells;
    this.#index = index;
    this.#forget = forget;
  }

  /** Time it computed, its host calls included. */
  get computedNs(): bigint {
    const since = this.#enteredMs === undefined ? 0 : performance.now() - this.#enteredMs;
    return BigInt(Math.round((this.#computedMs + since) * 1e6));
  }

  get overdue(): boolean {
    return this.#enteredMs !== undefined && performance.now() - this.#enteredMs > SLICE_MS;
  }

  enter(): void {
    if (this.#enteredMs !== undefined) return;
    this.#enteredMs = performance.now();
    Atomics.store(this.#cells, CELLS.guest, this.#index);
    enter(this.#cells);
  }

  leave(): void {
    if (this.#enteredMs === undefined) return;
    this.#computedMs += performance.now() - this.#enteredMs;
    this.#enteredMs = undefined;
    leave(this.#cells);
  }

  /** When the guest ended. */
  close(): void {
    this.leave();
    this.#forget();
  }
}

function enter(cells: Int32Array): void {
  Atomics.add(cells, CELLS.changes, 1);
  if (Atomics.add(cells, CELLS.instances, 1) === 0) Atomics.notify(cells, CELLS.instances);
}

function leave(cells: Int32Array): void {
  Atomics.add(cells, CELLS.changes, 1);
  Atomics.sub(cells, CELLS.instances, 1);
}

function placesOf({ resultPath, logPath, logMaxBytes }: Places): Places {
  return { resultPath, logPath, logMaxBytes };
}
