import { isVoter, isWitness } from "./configuration.ts";
import type { RaftState } from "./raft-state.ts";
import { startTransfer } from "./transfer.ts";
import type { MemberId } from "./types.ts";

/*
 * A witness votes and keeps entries like any voter, so that the safety argument is Raft's own. What
 * differs is when it campaigns: it cannot serve the state, so that it leads only to bring a data
 * member up to date that it had to refuse its vote, and hands leadership over at once.
 */

/** A data member asked for a vote and lacks entries. Others who have them go first. */
export function noteRefusal(state: RaftState, candidate: MemberId): void {
  if (!state.witness || state.refusedBehind) return;
  const { configuration } = state;
  if (!isVoter(configuration, candidate) || isWitness(configuration, candidate)) return;
  state.refusedBehind = true;
  state.loseLeader();
  state.electionElapsed = 0;
  const { electionTicks } = state.limits;
  state.electionTimeout = Math.ceil(electionTicks / 2) + state.draw(electionTicks);
}

export function witnessMayCampaign(state: RaftState): boolean {
  return state.refusedBehind;
}

/** A leader was heard: nobody needs this witness to campaign. */
export function forgetRefusal(state: RaftState): void {
  state.refusedBehind = false;
}

/** A leading witness hands over to the first data member that has everything. */
export function handOver(state: RaftState): void {
  const { tracker, transferee } = state;
  if (!state.witness || tracker === undefined || transferee !== 0 || !state.committedInTerm) return;
  for (const peer of tracker.peers) {
    const ready = peer.active && peer.match === state.log.lastIndex;
    if (ready && startTransfer(state, peer.member)) return;
  }
}
