import { assert } from "../lib/index.ts";
import type { RaftState } from "./raft-state.ts";
import { Tracker } from "./tracker.ts";
import type { LogIndex, MemberId, Term } from "./types.ts";

const NOTHING = new Uint8Array(0);

/** Follows this leader, or nobody yet, in this term. What belongs to a leader is given up. */
export function becomeFollower(state: RaftState, term: Term, leader: MemberId | 0): void {
  assert(term >= state.term, `a term never falls: ${state.term}, then ${term}`);
  resetFor(state, term);
  state.role = "follower";
  state.leader = leader;
}

/** Asks whether an election could be won, without touching term or vote (section 9.6). */
export function becomePreCandidate(state: RaftState): void {
  assert(state.role !== "leader", "a leader does not campaign");
  resetFor(state, state.term);
  state.role = "pre-candidate";
  drawRetryTimeout(state);
}

/** Begins a term and votes for itself; that counts once it is durable. */
export function becomeCandidate(state: RaftState): void {
  assert(state.role !== "leader", "a leader does not campaign");
  resetFor(state, (state.term + 1) as Term);
  state.role = "candidate";
  state.vote = state.id;
  drawRetryTimeout(state);
}

/** Candidates know of no leader to be patient with: they come again sooner. */
function drawRetryTimeout(state: RaftState): void {
  const { electionTicks } = state.limits;
  state.electionTimeout = Math.ceil(electionTicks / 2) + state.draw(electionTicks);
}

/** Leads, beginning with an entry of the own term, which may be committed by counting (3.6.2). */
export function becomeLeader(state: RaftState): void {
  assert(state.role === "candidate", `a ${state.role} does not become leader`);
  assert(state.voter && !state.recovering, "only a voter with a whole log leads");
  resetFor(state, state.term);
  state.role = "leader";
  state.leader = state.id;
  const tracker = new Tracker(state.id, state.log.lastIndex + 1, state.limits);
  tracker.self.match = state.log.stable;
  state.tracker = tracker;
  state.configure(state.configuration);
  state.termStart = state.appendOwn("data", NOTHING).index;
}

function resetFor(state: RaftState, term: Term): void {
  if (term !== state.term) {
    state.term = term;
    state.vote = 0;
  }
  state.leader = 0;
  state.votes.clear();
  state.drawElectionTimeout();
  state.heartbeatElapsed = 0;
  state.campaignDue = false;
  state.tracker = undefined;
  state.termStart = 0 as LogIndex;
  state.uncommittedBytes = 0;
  state.transferee = 0;
  state.heldTold = 0;
  state.leaderReads.clear();
  state.forwardedReads.clear();
}
