import { assert } from "../../lib/index.ts";
import { createRaft } from "../raft.ts";
import { decodeMessage, encodeMessage } from "../message-codec.ts";
import type {
  Configuration,
  HardState,
  LogEntry,
  LogIndex,
  MemberId,
  Message,
  RaftCore,
  RaftLimits,
  RaftOptions,
  ReadState,
  Ready,
  SnapshotPoint,
  Term,
} from "../types.ts";

export const index = (value: number): LogIndex => value as LogIndex;
export const term = (value: number): Term => value as Term;
export const member = (value: number): MemberId => value as MemberId;

/** A configuration of voters; the rest as given. */
export function configurationOf(
  voters: readonly number[],
  rest: { readonly learners?: readonly number[]; readonly witnesses?: readonly number[] } = {},
): Configuration {
  return {
    voters: voters.map(member),
    outgoing: [],
    learners: (rest.learners ?? []).map(member),
    learnersNext: [],
    witnesses: (rest.witnesses ?? []).map(member),
    autoLeave: false,
  };
}

/** What a member has on its disk. */
export interface Disk {
  hardState: HardState;
  compacted: SnapshotPoint;
  /** Behind `compacted`, without a gap. */
  log: LogEntry[];
  /** How far the state is, and who belonged to the group there. */
  applied: SnapshotPoint;
}

export function emptyDisk(configuration: Configuration): Disk {
  const start = { index: index(0), term: term(0), configuration };
  const hardState = { term: term(0), vote: 0 as const, commit: index(0) };
  return { hardState, compacted: start, log: [], applied: start };
}

export interface MemberOptions {
  readonly id: number;
  readonly disk: Disk;
  readonly draw: (below: number) => number;
  readonly limits?: Partial<RaftLimits>;
  readonly recoverTo?: number;
  /** Entries in memory at a start, from the end of the log. */
  readonly memory?: number;
}

/** A core with a driver that keeps everything in memory, one step at a time. */
export class TestMember {
  readonly id: MemberId;
  readonly disk: Disk;
  readonly core: RaftCore;
  /** What the disk has not been asked to keep yet: see `persist`. */
  outstanding: Ready | undefined;
  readonly reads: ReadState[] = [];
  /** Called with every data entry that is applied. */
  onApply: (entry: LogEntry) => void = () => undefined;

  constructor(options: MemberOptions) {
    const { disk } = options;
    this.id = member(options.id);
    this.disk = disk;
    const last = disk.log.at(-1)?.index ?? disk.compacted.index;
    const needed = last - disk.applied.index;
    const count = Math.max(needed, options.memory ?? disk.log.length, Math.min(1, disk.log.length));
    const raftOptions: RaftOptions = {
      id: this.id,
      hardState: disk.hardState,
      configuration: disk.applied.configuration,
      appliedIndex: disk.applied.index,
      compactedIndex: disk.compacted.index,
      compactedTerm: disk.compacted.term,
      entries: count === 0 ? [] : disk.log.slice(-count),
      termAt: (at) => this.entryAt(at)?.term,
      draw: options.draw,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.recoverTo === undefined ? {} : { recoverTo: index(options.recoverTo) }),
    };
    this.core = createRaft(raftOptions);
  }

  entryAt(at: number): LogEntry | undefined {
    return this.disk.log[at - this.disk.compacted.index - 1];
  }

  /** Takes a ready; answers what may leave before it is durable. */
  take(): readonly Message[] {
    assert(this.outstanding === undefined, "the last ready is not finished");
    this.outstanding = this.core.ready();
    return this.outstanding.early.map(overTheWire);
  }

  /** Makes the ready durable and applies; answers what may leave now. */
  finish(): readonly Message[] {
    const ready = this.outstanding;
    assert(ready !== undefined, "there is no ready to finish");
    this.#persist(ready);
    for (const entry of ready.committed) this.#apply(entry);
    this.reads.push(...ready.readStates);
    this.outstanding = undefined;
    this.core.advance(ready);
    for (const load of ready.loads) this.#load(load.from, load.maxBytes);
    return ready.messages.map(overTheWire);
  }

  #persist(ready: Ready): void {
    const { disk } = this;
    if (ready.hardState !== undefined) disk.hardState = ready.hardState;
    if (ready.snapshot !== undefined) {
      disk.compacted = ready.snapshot;
      disk.applied = ready.snapshot;
      disk.log = [];
    }
    const first = ready.entries[0];
    if (first === undefined) return;
    const keep = first.index - disk.compacted.index - 1;
    assert(keep >= 0 && keep <= disk.log.length, `a gap before entry ${first.index}`);
    disk.log.length = keep;
    disk.log.push(...ready.entries);
  }

  #apply(entry: LogEntry): void {
    const { disk } = this;
    if (entry.index <= disk.applied.index) return;
    assert(entry.index === disk.applied.index + 1, `${entry.index} is applied out of order`);
    assert(this.entryAt(entry.index)?.term === entry.term, `${entry.index} is not durable`);
    const config = entry.type === "config";
    const configuration = config ? this.core.applyConfig(entry) : disk.applied.configuration;
    disk.applied = { index: entry.index, term: entry.term, configuration };
    if (!config) this.onApply(entry);
  }

  #load(from: LogIndex, maxBytes: number): void {
    if (from <= this.disk.compacted.index) {
      this.core.supply({ type: "compacted", from });
      return;
    }
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let at = from; ; at = index(at + 1)) {
      const entry = this.entryAt(at);
      if (entry === undefined) break;
      bytes += entry.data.length;
      if (entries.length > 0 && bytes > maxBytes) break;
      entries.push(entry);
    }
    this.core.supply({ type: "entries", entries });
  }

  /** Drops the log up to there. */
  compact(at: number): void {
    const { disk } = this;
    const entry = this.entryAt(at);
    assert(entry !== undefined && at <= disk.applied.index, `${at} cannot be compacted`);
    const { configuration } = disk.applied;
    disk.log = disk.log.slice(at - disk.compacted.index);
    disk.compacted = { index: index(at), term: entry.term, configuration };
    this.core.compacted(disk.compacted);
  }
}

/** Everything that is sent passes the codec. */
function overTheWire(message: Message): Message {
  return decodeMessage(encodeMessage(message));
}
