import { assert } from "../lib/index.ts";
import { jointVote } from "./quorum.ts";
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from "./roles.ts";
import type { RaftState } from "./raft-state.ts";
import type { CommitNote, MemberId, Term, VoteRequest, VoteResponse } from "./types.ts";
import { noteRefusal, witnessMayCampaign } from "./witness.ts";

/** Ticks after which a follower campaigns that saw its leader's connection break: 1 to this. */
const BROKEN_LEADER_TICKS = 3;

/** What begins an election: a timeout asks for votes before it disturbs anybody. */
export type ElectionCause = "timeout" | "transfer";

export function campaign(state: RaftState, cause: ElectionCause): void {
  if (state.role === "leader" || !isPromotable(state)) return;
  const { log } = state;
  if (log.unappliedConfig !== 0 && log.unappliedConfig <= log.commit) {
    // Who decides is not known before that entry is applied.
    state.campaignDue = true;
    return;
  }
  if (state.witness && !witnessMayCampaign(state)) return;
  if (cause === "transfer") startElection(state, cause);
  else startPreVote(state);
}

function isPromotable(state: RaftState): boolean {
  return state.voter && !state.recovering && state.log.snapshot === undefined;
}

function startPreVote(state: RaftState): void {
  becomePreCandidate(state);
  state.votes.set(state.id, true);
  if (outcome(state) === "won") startElection(state, "timeout");
  else requestVotes(state, "pre-vote-request", "timeout");
}

/** The own vote is counted by `countOwnVote`, when it is durable. */
function startElection(state: RaftState, cause: ElectionCause): void {
  becomeCandidate(state);
  requestVotes(state, "vote-request", cause);
}

function requestVotes(state: RaftState, type: VoteRequest["type"], cause: ElectionCause): void {
  const { voters, outgoing } = state.configuration;
  const { id: from, log } = state;
  const term = type === "vote-request" ? state.term : ((state.term + 1) as Term);
  const { lastIndex, lastTerm } = log;
  const transfer = cause === "transfer";
  const note = commitNote(state);
  for (const to of new Set([...voters, ...outgoing])) {
    if (to !== from) state.send({ type, from, to, term, lastIndex, lastTerm, transfer, ...note });
  }
}

/** The vote for itself is on disk: it may count. */
export function countOwnVote(state: RaftState): void {
  recordVote(state, state.id, true);
}

/** Whoever heard of a leader lately helps nobody to replace it (sections 4.2.3 and 6.4). */
export function isHeldByLeader(state: RaftState): boolean {
  return state.leader !== 0 && state.electionElapsed < state.limits.electionTicks;
}

export function handleVoteRequest(state: RaftState, message: VoteRequest): void {
  const { from: to } = message;
  learnCommit(state, message);
  const preVote = message.type === "pre-vote-request";
  const upToDate = state.isUpToDate(message.lastIndex, message.lastTerm);
  const free =
    state.vote === to ||
    (state.vote === 0 && state.leader === 0) ||
    (preVote && message.term > state.term);
  const granted = free && upToDate;
  if (!upToDate && !isHeldByLeader(state)) noteRefusal(state, to);
  if (granted && !preVote) {
    state.vote = to;
    state.electionElapsed = 0;
  }
  const type = preVote ? "pre-vote-response" : "vote-response";
  const term = preVote && granted ? message.term : state.term;
  state.send({ type, from: state.id, to, term, granted, ...commitNote(state) });
}

function commitNote(state: RaftState): CommitNote {
  const { log } = state;
  const commitTerm = log.term(log.commit);
  assert(commitTerm !== undefined, `the term of the committed entry ${log.commit} is known`);
  return { commit: log.commit, commitTerm };
}

/**
 * Whoever has a committed entry may commit it, whoever says so. Without it a member that lacks only
 * the news that others were removed would need the votes of those who are gone.
 */
function learnCommit(state: RaftState, note: CommitNote): void {
  const { log } = state;
  if (state.role === "leader" || note.commit <= log.commit) return;
  if (log.term(note.commit) === note.commitTerm) log.commitTo(note.commit);
}

/** Tells somebody of an earlier term that it asks in vain. */
export function refuseVote(state: RaftState, message: VoteRequest): void {
  const type = message.type === "vote-request" ? "vote-response" : "pre-vote-response";
  const { id: from, term } = state;
  state.send({ type, from, to: message.from, term, granted: false, ...commitNote(state) });
}

export function handleVoteResponse(state: RaftState, message: VoteResponse): void {
  learnCommit(state, message);
  const preVote = message.type === "pre-vote-response";
  if (state.role !== (preVote ? "pre-candidate" : "candidate")) return;
  // A pre-vote is given for the term that would begin, and refused in the term that is.
  const term = preVote && message.granted ? state.term + 1 : state.term;
  if (message.term === term) recordVote(state, message.from, message.granted);
}

function recordVote(state: RaftState, voter: MemberId, granted: boolean): void {
  if (!state.votes.has(voter)) state.votes.set(voter, granted);
  const result = outcome(state);
  if (result === "lost") {
    becomeFollower(state, state.term, 0);
  } else if (result === "won") {
    if (state.role === "candidate") becomeLeader(state);
    else startElection(state, "timeout");
  }
}

function outcome(state: RaftState): ReturnType<typeof jointVote> {
  const { voters, outgoing } = state.configuration;
  return jointVote(voters, outgoing, state.votes);
}

/** The connection to the leader broke: this member stands in nobody's way, and campaigns soon. */
export function expectNewLeader(state: RaftState): void {
  state.loseLeader();
  state.electionElapsed = 0;
  state.electionTimeout = 1 + state.draw(BROKEN_LEADER_TICKS);
}
