import { assert } from "../lib/index.ts";
import type { Logger } from "../lib/index.ts";
import { commandMaxBytes, encodeCommands, StoreError } from "../mvcc/index.ts";
import type { Command, CommandResult, StateMachine } from "../mvcc/index.ts";
import type { SoloEntry, SoloRaftCore, SoloReadState } from "../raft/index.ts";
import type { SegmentedLog } from "./log/segmented-log.ts";

export interface DriverLimits {
  /** Proposals that wait for a batch; more are refused as overloaded. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** A batch takes no further command when it has so many, or so many bytes. */
  readonly maxBatchCommands: number;
  readonly maxBatchBytes: number;
}

export const DRIVER_LIMITS: DriverLimits = {
  maxWaiting: 16_384,
  maxWaitingBytes: 64 * 1024 * 1024,
  maxBatchCommands: 512,
  maxBatchBytes: 1024 * 1024,
};

export interface DriverOptions {
  readonly core: SoloRaftCore;
  readonly log: SegmentedLog;
  readonly machine: StateMachine;
  readonly logger: Logger;
  readonly limits?: DriverLimits | undefined;
  /** Called after every applied entry, before the proposers hear of it. */
  readonly onApplied: () => void;
  /** Called once, when nothing can be written any more. */
  readonly onFatal: (error: Error) => void;
}

interface Proposal {
  readonly command: Command;
  readonly bytes: number;
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: StoreError) => void;
}

interface WaitingRead {
  readonly index: number;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

type Mode =
  | { readonly type: "open" }
  | { readonly type: "closed" }
  | { readonly type: "read-only"; readonly error: Error };

/**
 * Drives the core: what waits becomes one log entry (group commit), the entry is written while the
 * one before is applied, and proposers hear of it when both are done. One loop at a time, which
 * ends when there is nothing to do: an idle store has no timer and writes nothing.
 */
export class Driver {
  readonly #options: DriverOptions;
  readonly #limits: DriverLimits;
  #mode: Mode = { type: "open" };
  #waiting: Proposal[] = [];
  #waitingBytes = 0;
  /** By log index: whom to tell when the entry is applied. */
  readonly #proposed = new Map<number, readonly Proposal[]>();
  #reads: WaitingRead[] = [];
  readonly #asked = new Map<number, WaitingRead>();
  #nextRead = 1;
  #loop: Promise<void> | undefined;
  /** Held while somebody else must be alone with the state. */
  #gate: Promise<void> | undefined;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DRIVER_LIMITS;
  }

  get mode(): Mode["type"] {
    return this.#mode.type;
  }

  /** Resolves when the command is durable and applied. @throws StoreError overloaded, … */
  propose(command: Command): Promise<CommandResult> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const bytes = commandMaxBytes(command);
    const { maxWaiting, maxWaitingBytes } = this.#limits;
    const full = this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes;
    if (full) {
      const waiting = `${this.#waiting.length} proposals of ${this.#waitingBytes} bytes wait`;
      return Promise.reject(new StoreError("overloaded", `the store is overloaded: ${waiting}`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#kick();
    });
  }

  /** Resolves when a read of the state sees all that was acknowledged before the call. */
  readIndex(): Promise<void> {
    if (this.#mode.type === "closed") return Promise.reject(closedError());
    const context = this.#nextRead++;
    const now = this.#options.core.readIndex(context);
    if (now !== undefined && now.index <= this.#options.machine.appliedIndex) {
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const read = { index: now?.index ?? Infinity, resolve, reject };
      if (now === undefined) this.#asked.set(context, read);
      else this.#reads.push(read);
      this.#kick();
    });
  }

  /** Runs the work while nothing is applied; proposals are written to the log meanwhile. */
  async exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    assert(this.#gate === undefined, "one exclusive piece of work at a time");
    const done = Promise.withResolvers<void>();
    this.#gate = done.promise;
    try {
      return await work();
    } finally {
      this.#gate = undefined;
      done.resolve();
    }
  }

  /** Refuses what comes, and resolves when what came before is done. */
  async close(): Promise<void> {
    if (this.#mode.type === "open") this.#mode = { type: "closed" };
    while (this.#loop !== undefined) await this.#loop;
  }

  /** Writes no more; reads go on. What was under way may or may not survive a restart. */
  fail(error: Error): void {
    if (this.#mode.type === "read-only") return;
    this.#mode = { type: "read-only", error };
    this.#options.logger.error("the store is read-only until a restart", { error: error.message });
    const refusal = readOnlyError(error);
    const proposals = [...this.#proposed.values()].flat();
    for (const proposal of [...proposals, ...this.#waiting]) proposal.reject(refusal);
    for (const read of [...this.#asked.values(), ...this.#reads]) read.reject(refusal);
    this.#proposed.clear();
    this.#asked.clear();
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#reads = [];
    this.#options.onFatal(error);
  }

  #refusal(): StoreError | undefined {
    if (this.#mode.type === "closed") return closedError();
    return this.#mode.type === "read-only" ? readOnlyError(this.#mode.error) : undefined;
  }

  #kick(): void {
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    // Proposals made in the same turn of the event loop become one batch.
    await Promise.resolve();
    try {
      while (this.#mode.type !== "read-only" && this.#proposeBatch()) await this.#step();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      // In the same turn in which nothing was left to do, or a proposal in between would be stuck.
      this.#loop = undefined;
    }
  }

  async #step(): Promise<void> {
    const { core, log } = this.#options;
    const ready = core.ready();
    const written = ready.entries.length === 0 ? undefined : log.append(ready.entries);
    // It is awaited below; a rejection meanwhile must not count as unhandled.
    written?.catch(() => undefined);
    for (const entry of ready.committed) {
      while (this.#gate !== undefined) await this.#gate;
      if (this.mode === "read-only") return;
      this.#apply(entry);
    }
    this.#answerReads(ready.readStates);
    await written;
    core.advance(ready);
  }

  /** @returns whether the core has work */
  #proposeBatch(): boolean {
    const { core } = this.#options;
    if (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      const result = core.propose(encodeCommands(batch.map((proposal) => proposal.command)));
      if (result.type === "accepted") this.#proposed.set(result.index, batch);
      else for (const proposal of batch) proposal.reject(notLeaderError());
    }
    return core.hasReady();
  }

  #takeBatch(): Proposal[] {
    const { maxBatchCommands, maxBatchBytes } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const proposal of this.#waiting) {
      const full = count >= maxBatchCommands || bytes + proposal.bytes > maxBatchBytes;
      if (full && count > 0) break;
      count += 1;
      bytes += proposal.bytes;
    }
    const batch = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    return batch;
  }

  #apply(entry: SoloEntry): void {
    const { machine, onApplied } = this.#options;
    const results = machine.apply(entry);
    onApplied();
    const proposals = this.#proposed.get(entry.index);
    if (proposals === undefined) return;
    this.#proposed.delete(entry.index);
    for (const [number, proposal] of proposals.entries()) {
      const result = results[number];
      assert(result !== undefined, `entry ${entry.index} gave no result for command ${number}`);
      proposal.resolve(result);
    }
  }

  #answerReads(states: readonly SoloReadState[]): void {
    for (const state of states) {
      const read = this.#asked.get(state.context);
      this.#asked.delete(state.context);
      if (read !== undefined) this.#reads.push({ ...read, index: state.index });
    }
    if (this.#reads.length === 0) return;
    const applied = this.#options.machine.appliedIndex;
    const answered = this.#reads.filter((read) => read.index <= applied);
    this.#reads = this.#reads.filter((read) => read.index > applied);
    for (const read of answered) read.resolve();
  }
}

export function closedError(): StoreError {
  return new StoreError("closed", "the store is closed");
}

function readOnlyError(cause: Error): StoreError {
  return new StoreError("read-only", `the store cannot write any more: ${cause.message}`);
}

function notLeaderError(): StoreError {
  return new StoreError("read-only", "this member is not the leader");
}
