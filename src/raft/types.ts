import type { Brand } from "../lib/index.ts";

/** Position in the log, from 1; 0 stands before the first entry. */
export type LogIndex = Brand<number, "LogIndex">;

/** Raft's logical clock, from 1; 0 before the first election. */
export type Term = Brand<number, "Term">;

/** A member of the group, a positive safe integer; never given to another member later. */
export type MemberId = Brand<number, "MemberId">;

/** What the members agree on. The core never looks into the data of a "data" entry. */
export interface LogEntry {
  readonly index: LogIndex;
  readonly term: Term;
  /** "config" entries change the members; empty data is the no-op that begins a term. */
  readonly type: "data" | "config";
  readonly data: Uint8Array;
}

/**
 * voter: stores, votes and applies. witness: votes and keeps what some voter still lacks, but
 * applies nothing and leads only to hand leadership over. learner: receives, and never counts.
 */
export type MemberRole = "voter" | "witness" | "learner";

/**
 * Who decides. While `outgoing` has members the configuration is joint: both majorities decide
 * (Raft dissertation, section 4.3). Witnesses are listed among the voters too.
 */
export interface Configuration {
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  /** Voters that become learners when the joint phase ends. */
  readonly learnersNext: readonly MemberId[];
  readonly witnesses: readonly MemberId[];
  /** Whether the leader ends the joint phase by itself. */
  readonly autoLeave: boolean;
}

export type ConfigStep =
  | { readonly type: "add"; readonly member: MemberId; readonly role: MemberRole }
  | { readonly type: "remove"; readonly member: MemberId };

/** One step changes the group directly, several (or none: leave) by joint consensus. */
export interface ConfigChange {
  readonly steps: readonly ConfigStep[];
  /** The driver's own: what it wants to be told with the applied entry (addresses, names). */
  readonly context: Uint8Array;
}

/** Must be durable before any message that follows from it leaves (figure 3.1). */
export interface HardState {
  readonly term: Term;
  /** 0 while none was given in this term. */
  readonly vote: MemberId | 0;
  readonly commit: LogIndex;
}

export type RaftRole = "follower" | "pre-candidate" | "candidate" | "leader";

/** What may change without being durable. */
export interface SoftState {
  readonly role: RaftRole;
  /** 0 while none is known. */
  readonly leader: MemberId | 0;
}

/** Where a snapshot stands. Its content travels apart: the driver knows where it is. */
export interface SnapshotPoint {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
}

export interface AppendRequest extends Envelope {
  readonly type: "append-request";
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly LogEntry[];
  readonly commit: LogIndex;
  /** Every data member has the entries up to here: a witness may drop them. */
  readonly held: LogIndex;
}

export interface AppendResponse extends Envelope {
  readonly type: "append-response";
  /** Accepted: the last index that matches. Refused: the `previousIndex` that did not. */
  readonly index: LogIndex;
  /**
   * The member lost entries that it had acknowledged (`recoverTo`): the leader may lower what it
   * believes to match to the hint. Without it a match never falls.
   */
  readonly lost?: true;
  /** The member knows no configuration, because it is new: it begins with a snapshot. */
  readonly blank?: true;
  readonly refused?: {
    /** Where the follower's log may still match, so that the leader does not probe one by one. */
    readonly hintIndex: LogIndex;
    readonly hintTerm: Term;
  };
}

export interface Heartbeat extends Envelope {
  readonly type: "heartbeat";
  readonly commit: LogIndex;
  /** The latest read that asks whether its sender still leads; 0 for none. */
  readonly context: number;
  readonly held: LogIndex;
}

export interface HeartbeatResponse extends Envelope {
  readonly type: "heartbeat-response";
  readonly context: number;
}

/**
 * What a member knows to be committed. Votes carry it, so that a member that has the entry learns
 * of it without a leader: by an old configuration alone it might never find one.
 */
export interface CommitNote {
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}

export interface VoteRequest extends Envelope, CommitNote {
  readonly type: "vote-request" | "pre-vote-request";
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The leader asked for this election: do not hold it back for the leader's sake. */
  readonly transfer: boolean;
}

export interface VoteResponse extends Envelope, CommitNote {
  readonly type: "vote-response" | "pre-vote-response";
  readonly granted: boolean;
}

/**
 * The receiver needs what the log no longer has: the driver sends a state, and puts its place here.
 * The receiver's driver steps it when the state has arrived, however late. To a witness the place
 * alone is sent.
 */
export interface InstallSnapshot extends Envelope {
  readonly type: "install-snapshot";
  readonly snapshot: SnapshotPoint;
}

export interface TimeoutNow extends Envelope {
  readonly type: "timeout-now";
}

export interface ReadIndexRequest extends Envelope {
  readonly type: "read-index-request";
  readonly context: number;
}

export interface ReadIndexResponse extends Envelope {
  readonly type: "read-index-response";
  readonly context: number;
  readonly index: LogIndex;
}

export type Message =
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | VoteRequest
  | VoteResponse
  | InstallSnapshot
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse;

/** Answers one `readIndex(context)`: a state with `index` applied may answer that read. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/** Entries a peer needs that the core no longer has in memory; answered by `supply`. */
export interface LogLoad {
  readonly from: LogIndex;
  readonly maxBytes: number;
}

/**
 * What the driver has to do next. `hardState` and `entries` must be durable before `messages`
 * leave and before `advance` is called with this ready; `early` may leave at once, in parallel
 * with the write (a leader's appends, section 10.2.1); `committed` may be applied at the same time.
 */
export interface Ready {
  readonly hardState?: HardState;
  readonly softState?: SoftState;
  /** May replace a suffix of the log: the first index may be at most one behind the last. */
  readonly entries: readonly LogEntry[];
  /** Installed before anything else of this ready; the log restarts behind it. */
  readonly snapshot?: SnapshotPoint;
  readonly early: readonly Message[];
  readonly messages: readonly Message[];
  /** All durable here. `applyConfig` is called for its config entries before `advance`. */
  readonly committed: readonly LogEntry[];
  readonly readStates: readonly ReadState[];
  readonly loads: readonly LogLoad[];
}

export type ProposeResult =
  | { readonly type: "accepted"; readonly index: LogIndex; readonly term: Term }
  | { readonly type: "not-leader" }
  /** The bound on uncommitted bytes is reached, or leadership is being transferred. */
  | { readonly type: "busy" };

export type ConfigResult =
  | { readonly type: "accepted"; readonly index: LogIndex; readonly term: Term }
  | { readonly type: "not-leader" }
  /** Another change is under way. */
  | { readonly type: "busy" }
  | { readonly type: "invalid"; readonly reason: string };

/** Where the leader stands with a member; for operators and for promotion of learners. */
export interface PeerProgress {
  readonly member: MemberId;
  readonly state: "probe" | "replicate" | "snapshot";
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly active: boolean;
}

export interface RaftStatus {
  readonly id: MemberId;
  readonly term: Term;
  readonly role: RaftRole;
  readonly leader: MemberId | 0;
  readonly commit: LogIndex;
  readonly lastIndex: LogIndex;
  /** Handed out as committed, and advanced. */
  readonly applied: LogIndex;
  readonly configuration: Configuration;
  /** See {@link RaftCore.held}. */
  readonly held: LogIndex;
  /** The log was damaged and is not whole again: it does not campaign (`recoverTo`). */
  readonly recovering: boolean;
  /** Whom leadership is being handed to; 0 for nobody. */
  readonly transferee: MemberId | 0;
  /** Of a leader only. */
  readonly peers: readonly PeerProgress[];
}

export type Supplied =
  /** From the load's first on, without a gap, at least one. */
  | { readonly type: "entries"; readonly entries: readonly LogEntry[] }
  /** The log no longer has them: those who need them get a snapshot. */
  | { readonly type: "compacted"; readonly from: LogIndex };

/**
 * The consensus core as its driver sees it (after etcd's raft): synchronous, without clock, disk,
 * network or chance of its own. One ready is outstanding at most: `ready`, persist, send and
 * apply, `advance`, again. Config entries among `committed` are answered by `applyConfig`.
 */
export interface RaftCore {
  readonly id: MemberId;
  readonly term: Term;
  readonly role: RaftRole;
  readonly leader: MemberId | 0;
  /**
   * Every data member has the entries up to here, as far as is known: a witness may drop them, and
   * a leader of a group with a witness had better not drop more while its disk allows.
   */
  readonly held: LogIndex;
  status(): RaftStatus;
  tick(): void;
  step(message: Message): void;
  /** @param data at least one byte */
  propose(data: Uint8Array): ProposeResult;
  proposeConfig(change: ConfigChange): ConfigResult;
  /** The driver applied a committed config entry; gives the configuration that is now in force. */
  applyConfig(entry: LogEntry): Configuration;
  /**
   * Asks which index a linearizable read has to wait for (section 6.4). The answer comes in a later
   * ready; none comes while there is no leader, or when it changes: the driver asks again.
   */
  readIndex(context: number): void;
  transferLeadership(to: MemberId): void;
  /** Starts an election now, as if the timeout had passed (pre-vote included). */
  campaign(): void;
  /**
   * The connection to it broke. A leader sends one append at a time there; a follower whose leader
   * it was campaigns within three ticks, unless it hears of it before.
   */
  reportUnreachable(member: MemberId): void;
  /** Every install-snapshot that left is answered so, once: nothing is sent there until then. */
  reportSnapshot(member: MemberId, outcome: "finished" | "failed"): void;
  /** Answers a load, every one of them, at any time. */
  supply(supplied: Supplied): void;
  /** The log was dropped up to and including this index, of which a snapshot exists. */
  compacted(point: SnapshotPoint): void;
  /**
   * Messages of a leader that may leave at once although a ready is outstanding (its disk is slow,
   * its heartbeats and appends need not be). Handed out once; what stays comes with the next ready.
   */
  early(): readonly Message[];
  hasReady(): boolean;
  ready(): Ready;
  advance(ready: Ready): void;
}

/** Everything the core knows at its start; what the log and the state on disk say. */
export interface RaftOptions {
  readonly id: MemberId;
  readonly hardState: HardState;
  /**
   * The configuration in force at `appliedIndex`. Without any member for one that joins: it then
   * takes nothing but a snapshot first.
   */
  readonly configuration: Configuration;
  readonly appliedIndex: LogIndex;
  /** The log's start: the entry before the first one it has. */
  readonly compactedIndex: LogIndex;
  readonly compactedTerm: Term;
  /** The last entries of the log, without a gap up to its end; older ones are loaded on demand. */
  readonly entries: readonly LogEntry[];
  /** Term of any index of the log that is not in `entries`. */
  readonly termAt: (index: LogIndex) => Term | undefined;
  /**
   * A damaged log: before it has this entry again the member does not campaign, and votes only for
   * those whose log has all that this one may have lost.
   */
  readonly recoverTo?: LogIndex;
  /** Draws a whole number from 0 up to, not including, `below`; seeded in simulations. */
  readonly draw: (below: number) => number;
  readonly limits?: Partial<RaftLimits>;
}

/** Every bound of the core; times are in ticks. */
export interface RaftLimits {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxAppendBytes: number;
  readonly maxInflightAppends: number;
  readonly maxInflightBytes: number;
  readonly maxUncommittedBytes: number;
  readonly maxPendingReads: number;
  readonly maxMemoryLogBytes: number;
  /** Committed entries handed out in one ready. */
  readonly maxCommittedBytes: number;
}
