import { assert, unreachable } from "../lib/index.ts";
import {
  campaign,
  countOwnVote,
  expectNewLeader,
  handleVoteRequest,
  handleVoteResponse,
  isHeldByLeader,
  refuseVote,
} from "./election.ts";
import {
  handleAppendRequest,
  handleHeartbeat,
  handleInstallSnapshot,
  handleTimeoutNow,
} from "./follower.ts";
import { afterProgress, handleAppendResponse, handleHeartbeatResponse, tick } from "./leader.ts";
import { applyConfigEntry, proposeConfigChange } from "./membership.ts";
import { RaftState } from "./raft-state.ts";
import {
  askReadIndex,
  flushReads,
  handleReadIndexRequest,
  handleReadIndexResponse,
  hasUnsentReads,
} from "./read-index.ts";
import {
  flushAppends,
  handleSnapshotReport,
  handleUnreachable,
  hasAppends,
  supplyEntries,
} from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { startTransfer } from "./transfer.ts";
import type {
  ConfigChange,
  ConfigResult,
  Configuration,
  HardState,
  LogEntry,
  LogIndex,
  MemberId,
  Message,
  ProposeResult,
  RaftCore,
  RaftLimits,
  RaftOptions,
  RaftRole,
  RaftStatus,
  Ready,
  SnapshotPoint,
  SoftState,
  Supplied,
  Term,
} from "./types.ts";

export const DEFAULT_RAFT_LIMITS: RaftLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  maxAppendBytes: 1024 * 1024,
  maxInflightAppends: 256,
  maxInflightBytes: 16 * 1024 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxPendingReads: 16_384,
  maxMemoryLogBytes: 32 * 1024 * 1024,
  maxCommittedBytes: 4 * 1024 * 1024,
};

type Writable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };

/** A member of the group, as it is after a start: a follower that knows of no leader. */
export function createRaft(options: RaftOptions): RaftCore {
  return new Raft(options);
}

class Raft implements RaftCore {
  readonly id: MemberId;
  readonly #state: RaftState;
  /** What the driver was told to make durable, in its last form. */
  #hardState: HardState;
  #softState: SoftState = { role: "follower", leader: 0 };
  #outstanding: Ready | undefined;

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.#hardState = options.hardState;
    this.#state = new RaftState(options, { ...DEFAULT_RAFT_LIMITS, ...options.limits });
  }

  get term(): Term {
    return this.#state.term;
  }

  get role(): RaftRole {
    return this.#state.role;
  }

  get leader(): MemberId | 0 {
    return this.#state.leader;
  }

  get held(): LogIndex {
    const { tracker, log, heldHeard } = this.#state;
    const known = tracker === undefined ? heldHeard : tracker.heldIndex();
    return Math.min(known, log.commit) as LogIndex;
  }

  status(): RaftStatus {
    const { id, term, role, leader, log, configuration, recovering, transferee } = this.#state;
    const { commit, lastIndex, applied } = log;
    const { held } = this;
    const peers = this.#state.tracker?.peers.map((peer) => peer.show()) ?? [];
    const place = { commit, lastIndex, applied, held };
    return { id, term, role, leader, ...place, configuration, recovering, transferee, peers };
  }

  tick(): void {
    tick(this.#state);
  }

  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id || message.from === state.id) return;
    if (message.term < state.term) answerPast(state, message);
    else if (message.term === state.term || enterTerm(state, message)) dispatch(state, message);
  }

  propose(data: Uint8Array): ProposeResult {
    assert(data.length > 0, "an entry without data is the no-op of a term");
    const state = this.#state;
    if (state.role !== "leader") return { type: "not-leader" };
    const { uncommittedBytes, limits } = state;
    // A single entry passes whatever its size: it would be refused for ever.
    const full =
      uncommittedBytes > 0 && uncommittedBytes + data.length > limits.maxUncommittedBytes;
    if (full || state.transferee !== 0 || state.witness) return { type: "busy" };
    const { index, term } = state.appendOwn("data", data);
    return { type: "accepted", index, term };
  }

  proposeConfig(change: ConfigChange): ConfigResult {
    return proposeConfigChange(this.#state, change);
  }

  applyConfig(entry: LogEntry): Configuration {
    const configuration = applyConfigEntry(this.#state, entry);
    if (this.#state.role === "leader") afterProgress(this.#state);
    this.#makeUpForCampaign();
    return configuration;
  }

  readIndex(context: number): void {
    askReadIndex(this.#state, context);
  }

  transferLeadership(to: MemberId): void {
    startTransfer(this.#state, to);
  }

  campaign(): void {
    campaign(this.#state, "timeout");
  }

  reportUnreachable(member: MemberId): void {
    const state = this.#state;
    if (state.role === "leader") handleUnreachable(state, member);
    else if (state.leader === member) expectNewLeader(state);
  }

  reportSnapshot(member: MemberId, outcome: "finished" | "failed"): void {
    handleSnapshotReport(this.#state, member, outcome);
  }

  supply(supplied: Supplied): void {
    supplyEntries(this.#state, supplied);
  }

  compacted(point: SnapshotPoint): void {
    this.#state.log.compact(point);
  }

  early(): readonly Message[] {
    const state = this.#state;
    if (state.role === "leader") {
      flushReads(state);
      flushAppends(state);
    }
    const messages = state.earlyMessages;
    if (messages.length > 0) state.earlyMessages = [];
    return messages;
  }

  hasReady(): boolean {
    if (this.#outstanding !== undefined) return false;
    const state = this.#state;
    const { log } = state;
    return (
      log.hasUnhanded ||
      log.hasCommitted ||
      log.snapshot !== undefined ||
      state.messages.length > 0 ||
      state.earlyMessages.length > 0 ||
      state.readStates.length > 0 ||
      state.loads.length > 0 ||
      this.#isHardStateDue() ||
      state.role !== this.#softState.role ||
      state.leader !== this.#softState.leader ||
      hasUnsentReads(state) ||
      hasAppends(state)
    );
  }

  ready(): Ready {
    assert(this.#outstanding === undefined, "one ready at a time: advance comes first");
    const state = this.#state;
    flushReads(state);
    flushAppends(state);
    const { log, messages, earlyMessages: early, readStates, loads } = state;
    const { snapshot } = log;
    const entries = log.takeUnstable();
    const hardState = this.#takeHardState(entries.length > 0 || snapshot !== undefined);
    const softState = this.#takeSoftState();
    log.snapshot = undefined;
    const committed =
      snapshot === undefined ? log.takeCommitted(state.limits.maxCommittedBytes) : [];
    // Filled in place: a ready is built for every few messages.
    const ready: Writable<Ready> = { entries, early, messages, committed, readStates, loads };
    if (hardState !== undefined) ready.hardState = hardState;
    if (softState !== undefined) ready.softState = softState;
    if (snapshot !== undefined) ready.snapshot = snapshot;
    state.messages = [];
    state.earlyMessages = [];
    state.readStates = [];
    state.loads = [];
    this.#outstanding = ready;
    return ready;
  }

  advance(ready: Ready): void {
    assert(ready === this.#outstanding, "advance takes the ready that was handed out");
    this.#outstanding = undefined;
    const state = this.#state;
    const { log } = state;
    log.advance(ready.entries.at(-1)?.index ?? 0);
    if (state.recovering) endRecovery(state);
    if (state.role === "leader") {
      assert(state.tracker !== undefined, "a leader tracks its members");
      if (state.tracker.self.accepted(log.stable)) afterProgress(state);
    } else if (state.role === "candidate") {
      const { term, vote } = this.#hardState;
      if (term === state.term && vote === state.id) countOwnVote(state);
    }
    this.#makeUpForCampaign();
  }

  /** An election was due before the configuration that decides it was in force. */
  #makeUpForCampaign(): void {
    if (this.#state.campaignDue) {
      this.#state.campaignDue = false;
      campaign(this.#state, "timeout");
    }
  }

  /**
   * A new term or vote always; a new commit index only along with entries, because it can be told
   * again, or when a change of the members is committed: who decides must not be forgotten.
   */
  #isHardStateDue(): boolean {
    const { term, vote, log } = this.#state;
    if (term !== this.#hardState.term || vote !== this.#hardState.vote) return true;
    const config = log.unappliedConfig;
    return config !== 0 && config <= log.commit && config > this.#hardState.commit;
  }

  #takeHardState(written: boolean): HardState | undefined {
    const { term, vote, log } = this.#state;
    const { commit } = log;
    const isNews = this.#isHardStateDue() || (written && commit !== this.#hardState.commit);
    if (!isNews) return undefined;
    this.#hardState = { term, vote, commit };
    return this.#hardState;
  }

  #takeSoftState(): SoftState | undefined {
    const { role, leader } = this.#state;
    if (role === this.#softState.role && leader === this.#softState.leader) return undefined;
    this.#softState = { role, leader };
    return this.#softState;
  }
}

/**
 * The log has everything again that this member ever acknowledged: it reaches as far as before, or
 * it has an entry that was committed in a later term, whose leader had all of it (section 3.6.3).
 */
function endRecovery(state: RaftState): void {
  const { log } = state;
  const committed = log.term(Math.min(log.commit, log.stable)) ?? 0;
  if (log.stable >= state.recoverTo || committed > state.startTerm) state.recoverTo = 0;
}

/** Somebody has not heard of this term yet. */
function answerPast(state: RaftState, message: Message): void {
  switch (message.type) {
    case "install-snapshot":
      // It was long on its way: what it holds is committed, whoever leads now.
      handleInstallSnapshot(state, message);
      return;
    case "append-request":
    case "heartbeat": {
      // A leader that was cut off steps down, and the member with the higher term is let in again.
      const { id: from, term } = state;
      const index = 0 as LogIndex;
      state.send({ type: "append-response", from, to: message.from, term, index });
      return;
    }
    case "vote-request":
    case "pre-vote-request":
      refuseVote(state, message);
      return;
    case "append-response":
    case "heartbeat-response":
    case "vote-response":
    case "pre-vote-response":
    case "timeout-now":
    case "read-index-request":
    case "read-index-response":
      return;
    default:
      unreachable(message);
  }
}

/** A message of a later term. Whether it is to be looked at. */
function enterTerm(state: RaftState, message: Message): boolean {
  const { type, term } = message;
  if (type === "vote-request" || type === "pre-vote-request") {
    if (!message.transfer && isHeldByLeader(state)) return false;
    if (type === "pre-vote-request") return true;
  }
  // A pre-vote is given for a term that does not exist yet.
  if (type === "pre-vote-response" && message.granted) return true;
  const leads = type === "append-request" || type === "heartbeat";
  becomeFollower(state, term, leads ? message.from : 0);
  return true;
}

function dispatch(state: RaftState, message: Message): void {
  switch (message.type) {
    case "append-request":
      return handleAppendRequest(state, message);
    case "append-response":
      return handleAppendResponse(state, message);
    case "heartbeat":
      return handleHeartbeat(state, message);
    case "heartbeat-response":
      return handleHeartbeatResponse(state, message);
    case "vote-request":
    case "pre-vote-request":
      return handleVoteRequest(state, message);
    case "vote-response":
    case "pre-vote-response":
      return handleVoteResponse(state, message);
    case "install-snapshot":
      return handleInstallSnapshot(state, message);
    case "timeout-now":
      return handleTimeoutNow(state);
    case "read-index-request":
      return handleReadIndexRequest(state, message);
    case "read-index-response":
      return handleReadIndexResponse(state, message);
    default:
      return unreachable(message);
  }
}
