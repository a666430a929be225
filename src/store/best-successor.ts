import type { MemberId, RaftStatus } from "../raft/index.ts";

/** The voter beside the leader that has most of the log and was heard lately. */
export function bestSuccessor(status: RaftStatus): MemberId | undefined {
  const { id, peers, configuration } = status;
  const { voters, witnesses } = configuration;
  let best: (typeof peers)[number] | undefined;
  for (const peer of peers) {
    const { member, active, match } = peer;
    const able = active && member !== id && voters.includes(member) && !witnesses.includes(member);
    if (able && match > (best?.match ?? -1)) best = peer;
  }
  return best?.member;
}
