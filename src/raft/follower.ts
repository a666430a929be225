import { assert } from "../lib/index.ts";
import { isMember } from "./configuration.ts";
import { campaign } from "./election.ts";
import type { RaftState } from "./raft-state.ts";
import { becomeFollower } from "./roles.ts";
import type { AppendRequest, Heartbeat, InstallSnapshot, LogIndex, MemberId } from "./types.ts";
import { forgetRefusal } from "./witness.ts";

/** A message of this term's leader: it is followed. */
function followLeader(state: RaftState, leader: MemberId): void {
  const { id, term } = state;
  assert(state.role !== "leader", `term ${term} has two leaders, ${id} and ${leader}`);
  assert(
    state.leader === 0 || state.leader === leader,
    `term ${term} has two leaders, ${state.leader} and ${leader}`,
  );
  if (state.role !== "follower") becomeFollower(state, term, leader);
  // A broken connection had it expect another leader soon: this one is back.
  else if (state.leader === 0) state.drawElectionTimeout();
  state.leader = leader;
  state.electionElapsed = 0;
  state.campaignDue = false;
  if (state.refusedBehind) forgetRefusal(state);
}

export function handleAppendRequest(state: RaftState, message: AppendRequest): void {
  followLeader(state, message.from);
  const { log } = state;
  const { previousIndex, previousTerm } = message;
  hearHeld(state, message.held);
  if (previousIndex < log.commit) {
    // Overtaken on its way: what is committed matches anyway.
    respond(state, message.from, log.commit);
    return;
  }
  const isBlank = state.configuration.voters.length === 0;
  if (isBlank || log.term(previousIndex) !== previousTerm) {
    refuse(state, message);
    return;
  }
  // Dropped as if it were lost, until the driver has applied some of what it was given.
  if (log.overloaded && message.entries.length > 0) return;
  const matched = log.merge(previousIndex, message.entries);
  log.commitTo(Math.min(message.commit, matched));
  respond(state, message.from, matched);
}

/** Says where the logs may meet, so that the leader skips a whole term at a time (section 3.5). */
function refuse(state: RaftState, message: AppendRequest): void {
  const { log, id: from, term } = state;
  const { previousIndex: index, previousTerm } = message;
  const hintIndex = log.lastNotAfter(index, previousTerm, log.commit);
  const hintTerm = log.term(hintIndex);
  assert(hintTerm !== undefined, `the term of ${hintIndex}, from commit on, is known`);
  const lost = state.recovering ? { lost: true as const } : {};
  const blank = state.configuration.voters.length === 0 ? { blank: true as const } : {};
  const refused = { hintIndex, hintTerm };
  const { from: to } = message;
  state.send({ type: "append-response", from, to, term, index, refused, ...lost, ...blank });
}

function respond(state: RaftState, to: MemberId, index: LogIndex): void {
  state.send({ type: "append-response", from: state.id, to, term: state.term, index });
}

export function handleHeartbeat(state: RaftState, message: Heartbeat): void {
  followLeader(state, message.from);
  const { log, id: from, term } = state;
  const { from: to, context, commit } = message;
  if (commit > log.lastIndex) {
    // The leader counts on entries that are gone. Whoever does not know why must not go on.
    assert(
      state.recovering,
      `acknowledged ${commit}, but the log ends at ${log.lastIndex}: it was lost or replaced. ` +
        "Remove this member and join it anew.",
    );
    const { lastIndex: hintIndex, lastTerm: hintTerm } = log;
    const refused = { hintIndex, hintTerm };
    const index = commit;
    state.send({ type: "append-response", from, to, term, index, refused, lost: true });
    return;
  }
  log.commitTo(commit);
  hearHeld(state, message.held);
  state.send({ type: "heartbeat-response", from, to, term, context });
}

function hearHeld(state: RaftState, held: LogIndex): void {
  if (held > state.heldHeard) state.heldHeard = held;
}

/**
 * The driver has received the state at this point, and asks whether to take it over. It was on its
 * way for long, maybe: it is committed, and says nothing of who leads in which term.
 */
export function handleInstallSnapshot(state: RaftState, message: InstallSnapshot): void {
  const { snapshot } = message;
  const { index, term } = snapshot;
  // A leader has all that is committed; a state from before this member's time is not for it.
  if (state.role === "leader" || !isMember(snapshot.configuration, state.id)) return;
  if (state.leader === message.from) state.electionElapsed = 0;
  if (term > state.term) becomeFollower(state, term, 0);
  const { log } = state;
  if (index <= log.commit) {
    respond(state, message.from, log.commit);
    return;
  }
  if (log.term(index) === term && !state.recovering) {
    // The log leads there by itself: it is faster applied than replaced.
    log.commitTo(index);
    respond(state, message.from, index);
    return;
  }
  if (state.role !== "follower") becomeFollower(state, state.term, 0);
  log.restore(snapshot);
  state.configure(snapshot.configuration);
  state.configIndex = index;
  respond(state, message.from, index);
}

/** Who led wants this member to take over (section 3.10). Nothing happens at who leads already. */
export function handleTimeoutNow(state: RaftState): void {
  if (!state.witness) campaign(state, "transfer");
}
