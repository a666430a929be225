import type { LogEntry, RaftCore, Ready } from "../../../src/raft/index.ts";
import { MemberDisk } from "./member-disk.ts";

/** One process of the simulated group: the core, its disk, and what its driver keeps in mind. */
export class SimMember {
  readonly disk = new MemberDisk();
  /** Undefined while the process does not run. */
  core: RaftCore | undefined;
  /** Belongs to the group, or did. */
  exists = false;
  /** Counts the lives, so that events of an earlier one are known. */
  life = 0;
  paused = false;
  /** Steps from tick to tick; ten of an honest clock. */
  tickSteps = 10;
  /** Steps that a durable write takes at most. */
  diskSteps = 2;
  appliedIndex = 0;
  /** The ready whose write is under way. */
  writing: Ready | undefined;
  /** Latest commit index the core was seen with. */
  commit = 0;
  /** A leader said that every data member has the log up to here. */
  held = 0;
  /** Where its log ended when it applied its last change of the members, and where that stands. */
  lastWhenReconfigured = 0;
  reconfiguredAt = 0;
  /** The term in which it was last seen to lead; 0 while it does not. */
  leading = 0;
  /** No ready was taken since it leads: that one may still carry what it received before. */
  freshLeader = false;
  /** The highest index known to be committed when it became leader. */
  promised = 0;
  /** Events that arrived during a pause, to be handled after it. */
  readonly waiting: (() => void)[] = [];
  /** Who answered its pre-vote and vote requests with yes, and in which term. */
  preVotes = 0;
  preVoteTerm = 0;
  /** The latest term for which a majority said it would vote for this member. */
  preVoteWon = 0;
  grants = 0;
  grantTerm = 0;
  /** Where the logs end of those who asked for its vote while its own is damaged. */
  readonly asked = new Map<number, { readonly lastIndex: number; readonly lastTerm: number }>();

  constructor(readonly id: number) {}

  reset(): void {
    this.core = undefined;
    this.exists = false;
    this.life += 1;
    this.tickSteps = 10;
    this.diskSteps = 2;
    this.disk.reset(undefined);
    this.forget();
  }

  /** What a crash takes. */
  forget(): void {
    this.core = undefined;
    this.life += 1;
    this.paused = false;
    this.appliedIndex = this.disk.appliedIndex;
    this.writing = undefined;
    this.commit = 0;
    this.lastWhenReconfigured = 0;
    this.reconfiguredAt = 0;
    this.held = 0;
    this.leading = 0;
    this.freshLeader = false;
    this.waiting.length = 0;
    this.preVotes = 0;
    this.preVoteTerm = 0;
    this.preVoteWon = 0;
    this.grants = 0;
    this.grantTerm = 0;
    this.asked.clear();
  }

  /** The term of an entry here, durable or in the write under way. */
  termAt(index: number): number | undefined {
    const entries = this.writing?.entries;
    const first = entries?.[0];
    if (entries !== undefined && first !== undefined && index >= first.index) {
      return entries[index - first.index]?.term;
    }
    const snapshot = this.writing?.snapshot;
    if (snapshot !== undefined) return index === snapshot.index ? snapshot.term : undefined;
    return this.disk.termAt(index);
  }

  /** Whether a change of the members is in its log, behind the last that came into force. */
  mayReconfigure(last: number): boolean {
    const isPending = ({ type, index }: LogEntry): boolean => type === "config" && index > last;
    return this.disk.entries.some(isPending) || (this.writing?.entries.some(isPending) ?? false);
  }

  get lastIndex(): number {
    const entries = this.writing?.entries;
    const last: LogEntry | undefined = entries?.[entries.length - 1];
    return last?.index ?? this.writing?.snapshot?.index ?? this.disk.lastIndex;
  }
}
