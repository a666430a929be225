import { isWitness } from "./configuration.ts";
import type { RaftState } from "./raft-state.ts";
import type { MemberId } from "./types.ts";

/**
 * Hands leadership to this member (section 3.10): proposals are refused from now on, and once it
 * has every entry it is told to campaign. Whether that was begun: only a voter with data may lead.
 */
export function startTransfer(state: RaftState, to: MemberId): boolean {
  const { tracker, configuration } = state;
  const peer = tracker?.get(to);
  if (tracker === undefined || peer === undefined || to === state.id) return false;
  if (!configuration.voters.includes(to) || isWitness(configuration, to)) return false;
  if (state.transferee === to) return true;
  state.transferee = to;
  state.electionElapsed = 0;
  continueTransfer(state);
  if (peer.match < state.log.lastIndex) peer.nudge = true;
  return true;
}

/** Sends the order to campaign as soon as the target has everything. */
export function continueTransfer(state: RaftState): void {
  const { tracker, transferee: to } = state;
  if (to === 0 || tracker === undefined) return;
  if (tracker.get(to)?.match !== state.log.lastIndex) return;
  state.sendEarly({ type: "timeout-now", from: state.id, to, term: state.term });
}

/** Gives up: the target did not take over within an election timeout. */
export function abortTransfer(state: RaftState): void {
  state.transferee = 0;
}
