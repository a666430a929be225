import type { Configuration } from "../../../src/raft/index.ts";

/** Whether more than half of these members are in the set (one bit a member). */
export function majorityOf(members: readonly number[], set: number): boolean {
  let inside = 0;
  for (let at = 0; at < members.length; at++) inside += (set >>> (members[at] as number)) & 1;
  return inside * 2 > members.length;
}

/** Whether the set decides: both majorities while the configuration is joint (section 4.3). */
export function quorumOf(configuration: Configuration, set: number): boolean {
  return (
    majorityOf(configuration.voters, set) &&
    (configuration.outgoing.length === 0 || majorityOf(configuration.outgoing, set))
  );
}
