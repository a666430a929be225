import { assert, unreachable } from "../lib/index.ts";
import { campaign } from "./election.ts";
import { leaveJointWhenDue } from "./membership.ts";
import type { Progress } from "./progress.ts";
import type { RaftState } from "./raft-state.ts";
import { admitEarlyReads, confirmReads } from "./read-index.ts";
import { advanceCommit, sendHeartbeat, sendSnapshot } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { abortTransfer, continueTransfer } from "./transfer.ts";
import type { AppendResponse, HeartbeatResponse } from "./types.ts";
import { handOver } from "./witness.ts";

export function tick(state: RaftState): void {
  state.electionElapsed++;
  switch (state.role) {
    case "leader":
      return tickLeader(state);
    case "follower":
    case "pre-candidate":
    case "candidate":
      state.forwardedReads.tick(state.limits.electionTicks);
      if (state.electionElapsed >= state.electionTimeout) missLeader(state);
      return undefined;
    default:
      return unreachable(state.role);
  }
}

/** The leader was not heard for too long. Who cannot lead knows at least that nobody does. */
function missLeader(state: RaftState): void {
  if (state.leader !== 0) state.loseLeader();
  campaign(state, "timeout");
}

function tickLeader(state: RaftState): void {
  const { limits, tracker } = state;
  assert(tracker !== undefined, "a leader tracks its members");
  if (state.electionElapsed >= limits.electionTicks) {
    state.electionElapsed = 0;
    if (!tracker.takeQuorumActive()) {
      // Nobody may be able to reach the others through this leader: make room (section 6.2).
      becomeFollower(state, state.term, 0);
      return;
    }
    abortTransfer(state);
  }
  state.heartbeatElapsed++;
  if (state.heartbeatElapsed < limits.heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  for (const peer of tracker.peers) sendHeartbeat(state, peer);
  handOver(state);
}

/** Some entry became durable somewhere, or the configuration changed: what follows from it. */
export function afterProgress(state: RaftState): void {
  if (advanceCommit(state)) {
    if (state.committedInTerm) admitEarlyReads(state);
  }
  leaveJointWhenDue(state);
  handOver(state);
}

export function handleAppendResponse(state: RaftState, message: AppendResponse): void {
  const peer = state.tracker?.get(message.from);
  if (peer === undefined) return;
  peer.active = true;
  if (message.refused !== undefined) {
    handleRefusal(state, peer, message, message.refused);
    return;
  }
  const { index } = message;
  const { lastIndex } = state.log;
  assert(index <= lastIndex, `${message.from} has ${index}, the leader's log ends at ${lastIndex}`);
  const isNews = peer.accepted(index);
  if (!isNews && !(peer.state === "probe" && peer.match === index)) return;
  switch (peer.state) {
    case "probe":
      peer.becomeReplicate();
      break;
    case "replicate":
      peer.inflight.freeTo(index);
      break;
    case "snapshot":
      // It stands where the log can take it on, be it by that snapshot or another.
      if (peer.match >= state.log.compactedIndex) peer.becomeReplicate();
      break;
    default:
      unreachable(peer.state);
  }
  if (!isNews) return;
  const isAwaited = peer.member === state.transferee;
  afterProgress(state);
  if (isAwaited) continueTransfer(state);
}

function handleRefusal(
  state: RaftState,
  peer: Progress,
  message: AppendResponse,
  refused: NonNullable<AppendResponse["refused"]>,
): void {
  const { hintIndex, hintTerm } = refused;
  if (message.lost === true && hintIndex < peer.match) {
    peer.lost(hintIndex);
    return;
  }
  if (message.blank === true) {
    if (peer.state !== "snapshot") sendSnapshot(state, peer);
    return;
  }
  const { log } = state;
  // Nothing of a later term than the hint's can match there.
  const meeting = log.lastNotAfter(hintIndex, hintTerm, log.compactedIndex);
  peer.refused(message.index, Math.min(meeting, hintIndex));
}

export function handleHeartbeatResponse(state: RaftState, message: HeartbeatResponse): void {
  const { tracker, log } = state;
  const peer = tracker?.get(message.from);
  if (peer === undefined || tracker === undefined) return;
  peer.active = true;
  peer.probing = false;
  // What was sent may be lost: an append shows it by being refused.
  if (peer.state === "replicate" && peer.inflight.full) peer.inflight.freeOne();
  if (peer.match < log.lastIndex || peer.state === "probe") peer.nudge = true;
  if (message.context <= peer.readAck) return;
  peer.readAck = message.context;
  confirmReads(state);
}
