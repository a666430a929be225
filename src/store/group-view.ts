import { decodeConfigChange } from "../raft/index.ts";
import type { Configuration, LogEntry, LogIndex, RaftCore } from "../raft/index.ts";
import { changedGroup, decodeContext, isAlone } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";

/** The group at the applied index, as this member knows it. */
export class GroupView {
  readonly #core: RaftCore;
  #record: GroupRecord;
  #alone: boolean;
  /** The core takes a change once, also where its writing has to be repeated. */
  #changed: { readonly index: LogIndex; readonly configuration: Configuration } | undefined;

  constructor(core: RaftCore, record: GroupRecord) {
    this.#core = core;
    this.#record = record;
    this.#alone = isAlone(record.configuration, core.id);
  }

  get record(): GroupRecord {
    return this.#record;
  }

  /** No other member has a say or receives the log. */
  get alone(): boolean {
    return this.#alone;
  }

  get hasSelf(): boolean {
    return this.#record.members.some((member) => member.id === this.#core.id);
  }

  set(record: GroupRecord): void {
    this.#record = record;
    this.#alone = isAlone(record.configuration, this.#core.id);
  }

  /** The group behind a committed config entry, from which on the core decides by it. */
  behind(entry: LogEntry): GroupRecord {
    const { index } = entry;
    if (this.#changed?.index !== index) {
      this.#changed = { index, configuration: this.#core.applyConfig(entry) };
    }
    const told = decodeContext(decodeConfigChange(entry.data).context);
    return changedGroup(this.#record, this.#changed.configuration, told);
  }
}
