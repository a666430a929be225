import { StateMachine } from "../mvcc/index.ts";
import type {
  CheckpointOutcome,
  CommandResult,
  EventWindowLimits,
  Exclusive,
  PendingLimits,
  StatePoint,
  StateStorage,
} from "../mvcc/index.ts";
import type { LogEntry } from "../raft/index.ts";
import { isDiskFull } from "./disk.ts";
import type { Applier } from "./driver-options.ts";
import { decodeGroup, encodeGroup } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";

/**
 * The state machine as it is now: a state that came from a peer replaces it. Nobody keeps
 * `machine` beyond an await.
 */
export class StoreState implements Applier {
  readonly storage: StateStorage;
  readonly #clusterId: string;
  readonly #window: EventWindowLimits | undefined;
  readonly #pending: PendingLimits | undefined;
  #machine: StateMachine;

  constructor(options: {
    readonly storage: StateStorage;
    readonly clusterId: string;
    readonly window?: EventWindowLimits | undefined;
    readonly pending?: PendingLimits | undefined;
  }) {
    this.storage = options.storage;
    this.#clusterId = options.clusterId;
    this.#window = options.window;
    this.#pending = options.pending;
    this.#machine = this.#load();
  }

  get machine(): StateMachine {
    return this.#machine;
  }

  get appliedIndex(): number {
    return this.#machine.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#machine.appliedTerm;
  }

  /** Undefined in a state from before its first config entry. */
  get group(): GroupRecord | undefined {
    return decodeGroup(this.#machine.group.members);
  }

  apply(entry: LogEntry): readonly CommandResult[] {
    return this.#machine.apply(entry);
  }

  applyConfig(entry: LogEntry, group: GroupRecord): void {
    const stored = { clusterId: this.#clusterId, members: encodeGroup(group) };
    this.#machine.applyConfig(entry, stored);
  }

  /**
   * Makes what is applied at the call durable. If it is "complete", the file stands for all
   * entries up to `index` and the log need not.
   */
  async checkpoint(
    exclusive: Exclusive,
  ): Promise<{ readonly outcome: CheckpointOutcome; readonly index: number }> {
    try {
      this.#machine.flush();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return { outcome: "full", index: this.#machine.storedIndex };
    }
    const index = this.#machine.storedIndex;
    return { outcome: await this.storage.checkpoint(exclusive), index };
  }

  /** A copy of all that is applied at the call. @throws as StateStorage.snapshot */
  async snapshot(path: string, exclusive: Exclusive): Promise<StatePoint> {
    // Alone: a write while the write-ahead log starts anew would wait on the event loop.
    await exclusive(() => Promise.resolve(this.#machine.flush()));
    return this.storage.snapshot(path);
  }

  /** The file's state becomes this one; nothing may be applied or read from disk meanwhile. */
  async install(path: string): Promise<void> {
    await this.storage.install(path);
    this.#machine = this.#load();
  }

  #load(): StateMachine {
    const { db } = this.storage;
    return new StateMachine({ db, window: this.#window, pending: this.#pending });
  }
}
