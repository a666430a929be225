import { assert } from "../lib/index.ts";
import { isVoter, isWitness } from "./configuration.ts";
import { RaftLog } from "./raft-log.ts";
import { ForwardedReads, LeaderReads } from "./read-queue.ts";
import { Tracker } from "./tracker.ts";
import type {
  Configuration,
  LogEntry,
  LogIndex,
  LogLoad,
  MemberId,
  Message,
  RaftLimits,
  RaftOptions,
  RaftRole,
  ReadState,
  Term,
} from "./types.ts";

/** What an election draws one number of; two of them make a start that does not repeat. */
const DRAW_BOUND = 2 ** 26;

/**
 * All that a member knows. The files of this room are the rules that change it, one concern each;
 * `raft.ts` hands it out as a `RaftCore`.
 */
export class RaftState {
  readonly id: MemberId;
  readonly limits: RaftLimits;
  readonly log: RaftLog;
  term: Term;
  vote: MemberId | 0;
  role: RaftRole = "follower";
  leader: MemberId | 0 = 0;
  configuration: Configuration;
  /** The config entry that the configuration came from, as far as this life of the member knows. */
  configIndex = 0;
  /** Own role in the configuration. */
  voter = false;
  witness = false;
  electionElapsed = 0;
  electionTimeout = 0;
  heartbeatElapsed = 0;
  /** What the others answered in this election. */
  readonly votes = new Map<MemberId, boolean>();
  /** An election was due while a committed configuration was not applied: it is made up for. */
  campaignDue = false;
  /** The log is damaged up to here; 0 when it is whole. */
  recoverTo: number;
  /** Nothing in the lost part of the log is of a later term. */
  readonly startTerm: Term;
  /** What the leaders said every data member has. */
  heldHeard = 0;
  /** A witness had to refuse a data member, because that lacks entries which the witness has. */
  refusedBehind = false;

  // Of a leader.
  /** Undefined of everybody else. */
  tracker: Tracker | undefined;
  /** The entry that began the leader's term. */
  termStart: LogIndex = 0 as LogIndex;
  uncommittedBytes = 0;
  transferee: MemberId | 0 = 0;
  /** What this leader told witnesses at most. */
  heldTold = 0;
  readonly leaderReads = new LeaderReads();
  readonly forwardedReads: ForwardedReads;

  // Until the next ready.
  messages: Message[] = [];
  earlyMessages: Message[] = [];
  readStates: ReadState[] = [];
  loads: LogLoad[] = [];
  readonly #draw: (below: number) => number;

  constructor(options: RaftOptions, limits: RaftLimits) {
    assert(
      Number.isSafeInteger(options.id) && options.id > 0,
      `a member's id is a positive safe integer, not ${options.id}`,
    );
    this.id = options.id;
    this.limits = limits;
    this.#draw = options.draw;
    this.log = new RaftLog(options, limits.maxMemoryLogBytes);
    this.term = options.hardState.term;
    this.vote = options.hardState.vote;
    this.startTerm = this.term;
    const recoverTo = options.recoverTo ?? 0;
    this.recoverTo = recoverTo > this.log.lastIndex ? recoverTo : 0;
    const { lastIndex, lastTerm } = this.log;
    assert(
      this.recoverTo > 0 || options.hardState.commit <= lastIndex,
      `committed to ${options.hardState.commit}, but the log ends at ${lastIndex}`,
    );
    assert(lastTerm <= this.term, `the log is of term ${lastTerm}, the member of ${this.term}`);
    this.configuration = options.configuration;
    this.configure(options.configuration);
    this.forwardedReads = new ForwardedReads(this.draw(DRAW_BOUND) * DRAW_BOUND);
    this.drawElectionTimeout();
  }

  draw(below: number): number {
    const drawn = this.#draw(below);
    assert(drawn >= 0 && drawn < below, `drew ${drawn}, which is not from 0 to below ${below}`);
    return drawn;
  }

  configure(configuration: Configuration): void {
    this.configuration = configuration;
    this.voter = isVoter(configuration, this.id);
    this.witness = isWitness(configuration, this.id);
    this.tracker?.configure(configuration, this.log.lastIndex + 1);
  }

  get recovering(): boolean {
    return this.recoverTo > 0;
  }

  /**
   * Whether a log that ends there has all that this member ever acknowledged (section 3.6.1). What
   * it lost was of no later term than it had promised, and ended no later than `recoverTo`.
   */
  isUpToDate(index: LogIndex, term: Term): boolean {
    const { log, recoverTo, startTerm } = this;
    const hasWhatWasLost =
      recoverTo === 0 || term > startTerm || (term === startTerm && index >= recoverTo);
    return log.isUpToDate(index, term) && hasWhatWasLost;
  }

  /** A leader knows what is committed only once an entry of its own term is (section 6.4). */
  get committedInTerm(): boolean {
    return this.log.commit >= this.termStart;
  }

  /** At random between one and two timeouts, so that elections seldom split (section 3.4). */
  drawElectionTimeout(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.limits.electionTicks + this.draw(this.limits.electionTicks);
  }

  /** Nobody is known to lead any more; what was asked of the leader gets no answer. */
  loseLeader(): void {
    this.leader = 0;
    this.forwardedReads.clear();
  }

  send(message: Message): void {
    this.messages.push(message);
  }

  /** Of a leader only: nothing in the message depends on what is not durable yet. */
  sendEarly(message: Message): void {
    this.earlyMessages.push(message);
  }

  /** A leader's entry goes to the end of its log. */
  appendOwn(type: LogEntry["type"], data: Uint8Array): LogEntry {
    const index = (this.log.lastIndex + 1) as LogIndex;
    const entry: LogEntry = { index, term: this.term, type, data };
    this.log.append(entry);
    this.uncommittedBytes += data.length;
    return entry;
  }
}
