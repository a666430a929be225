import { assert } from "../lib/index.ts";
import type { PendingRead } from "./read-queue.ts";
import type { RaftState } from "./raft-state.ts";
import { sendHeartbeat } from "./replication.ts";
import type { LogIndex, MemberId, ReadIndexRequest, ReadIndexResponse } from "./types.ts";

/** A read of the member itself. Dropped when nobody leads or too many wait: the driver repeats. */
export function askReadIndex(state: RaftState, context: number): void {
  if (state.role === "leader") {
    acceptRead(state, state.id, context);
  } else if (state.leader !== 0 && state.forwardedReads.count < state.limits.maxPendingReads) {
    state.forwardedReads.unsent.push(context);
  }
}

/** A read that a follower passes on. */
export function handleReadIndexRequest(state: RaftState, message: ReadIndexRequest): void {
  if (state.role === "leader") acceptRead(state, message.from, message.context);
}

function acceptRead(state: RaftState, from: MemberId, context: number): void {
  const { leaderReads: reads, tracker } = state;
  assert(tracker !== undefined, "a leader tracks its members");
  if (reads.count >= state.limits.maxPendingReads) return;
  const read: PendingRead = { from, context, index: state.log.commit };
  if (!state.committedInTerm) reads.early.push(read);
  else if (tracker.alone) answerRead(state, read);
  else reads.unsent.push(read);
}

/** The leader committed an entry of its term: those who waited for it read at that index. */
export function admitEarlyReads(state: RaftState): void {
  const { early } = state.leaderReads;
  if (early.length === 0) return;
  state.leaderReads.early = [];
  for (const read of early) acceptRead(state, read.from, read.context);
}

/** Reads that came since the last ready leave as one round, or as one request to the leader. */
export function flushReads(state: RaftState): void {
  if (state.role === "leader") {
    if (state.leaderReads.unsent.length === 0) return;
    state.leaderReads.startRound();
    const tracker = state.tracker;
    assert(tracker !== undefined, "a leader tracks its members");
    for (const peer of tracker.peers) if (tracker.decides(peer)) sendHeartbeat(state, peer);
    confirmReads(state);
  } else if (state.forwardedReads.unsent.length > 0) {
    const context = state.forwardedReads.startBatch();
    const { id: from, leader: to, term } = state;
    assert(to !== 0, "reads are forwarded to a leader");
    state.send({ type: "read-index-request", from, to, term, context });
  }
}

export function hasUnsentReads(state: RaftState): boolean {
  return state.leaderReads.unsent.length > 0 || state.forwardedReads.unsent.length > 0;
}

/** Answers the rounds that a majority has confirmed by now. */
export function confirmReads(state: RaftState): void {
  if (state.leaderReads.openRound === 0 || state.tracker === undefined) return;
  const confirmed = state.leaderReads.confirmed(state.tracker.confirmedRound());
  for (const read of confirmed) answerRead(state, read);
}

function answerRead(state: RaftState, read: PendingRead): void {
  const { context } = read;
  const index = read.index as LogIndex;
  if (read.from === state.id) {
    state.readStates.push({ context, index });
    return;
  }
  const { id: from, term } = state;
  state.sendEarly({ type: "read-index-response", from, to: read.from, term, context, index });
}

export function handleReadIndexResponse(state: RaftState, message: ReadIndexResponse): void {
  for (const context of state.forwardedReads.answered(message.context)) {
    state.readStates.push({ context, index: message.index });
  }
}
