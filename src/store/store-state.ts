import { StateMachine } from "../mvcc/index.ts";
import type { CommandResult, EventWindowLimits, StateStorage } from "../mvcc/index.ts";
import type { LogEntry } from "../raft/index.ts";
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
  #machine: StateMachine;

  constructor(options: {
    readonly storage: StateStorage;
    readonly clusterId: string;
    readonly window?: EventWindowLimits | undefined;
  }) {
    this.storage = options.storage;
    this.#clusterId = options.clusterId;
    this.#window = options.window;
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

  /** The file's state becomes this one; nothing may be applied or read from disk meanwhile. */
  async install(path: string): Promise<void> {
    await this.storage.install(path);
    this.#machine = this.#load();
  }

  #load(): StateMachine {
    return new StateMachine({ db: this.storage.db, window: this.#window });
  }
}
