import { assert } from "../lib/index.ts";
import { decodeConfigChange, encodeConfigChange } from "./config-codec.ts";
import { changeConfiguration, isJoint } from "./configuration.ts";
import type { RaftState } from "./raft-state.ts";
import { becomeFollower } from "./roles.ts";
import type { ConfigChange, ConfigResult, Configuration, LogEntry } from "./types.ts";
import { RaftWireError } from "./wire.ts";

const LEAVE: ConfigChange = { steps: [], context: new Uint8Array(0) };

/** A change of the members as an entry of the log; at most one is under way (section 4.1). */
export function proposeConfigChange(state: RaftState, change: ConfigChange): ConfigResult {
  if (state.role !== "leader") return { type: "not-leader" };
  if (!mayChange(state)) return { type: "busy" };
  if (isJoint(state.configuration) && change.steps.length > 0) return { type: "busy" };
  const changed = changeConfiguration(state.configuration, change);
  if (changed.type === "invalid") return changed;
  const lagging = whoLagsBehindWitness(state, change);
  if (lagging !== undefined) return { type: "invalid", reason: lagging };
  const stateless = whatLeavesNoState(state, changed.configuration);
  if (stateless !== undefined) return stateless;
  try {
    const { index, term } = state.appendOwn("config", encodeConfigChange(change));
    return { type: "accepted", index, term };
  } catch (error) {
    if (error instanceof RaftWireError) return { type: "invalid", reason: error.message };
    throw error;
  }
}

/**
 * The next change is decided on the configuration that the last one left, by a leader that knows
 * its predecessors' (the entry of its own term is committed: Ongaro, raft-dev, 2015-07-10).
 */
function mayChange(state: RaftState): boolean {
  if (state.witness || state.transferee !== 0) return false;
  return state.committedInTerm && state.log.unappliedConfig === 0;
}

/**
 * Witnesses may have dropped what every data member had: whoever becomes one has to have that too.
 * Earlier leaders told them less than what this one's term began with.
 */
function whoLagsBehindWitness(state: RaftState, change: ConfigChange): string | undefined {
  const { configuration, tracker } = state;
  assert(tracker !== undefined, "a leader tracks its members");
  if (configuration.witnesses.length === 0) return undefined;
  const needed = Math.max(state.heldTold, state.termStart);
  for (const step of change.steps) {
    if (step.type === "remove" || step.role !== "voter") continue;
    const match = tracker.get(step.member)?.match ?? 0;
    if (match < needed) {
      const lack = `has the log up to ${match}, and needs it up to ${needed}`;
      return `${step.member} ${lack} beside a witness`;
    }
  }
  return undefined;
}

/**
 * A leader leaves the state to somebody. Witnesses commit the change with it, and one that began
 * with a snapshot has nothing from before: members behind that would wait for entries for ever.
 */
function whatLeavesNoState(state: RaftState, next: Configuration): ConfigResult | undefined {
  const { tracker, log, id } = state;
  const { voters, witnesses } = next;
  assert(tracker !== undefined, "a leader tracks its members");
  if (voters.includes(id) || witnesses.length === 0) return undefined;
  const storing = voters.filter((member) => !witnesses.includes(member));
  const peers = tracker.peers.filter((peer) => storing.includes(peer.member));
  if (peers.some((peer) => peer.match >= log.commit)) return undefined;
  // It lacks what was committed a moment ago.
  if (peers.some((peer) => peer.state === "replicate")) return { type: "busy" };
  const wait = `wait until ${storing.join(" or ")} has it`;
  return { type: "invalid", reason: `${id} alone has the state up to ${log.commit}: ${wait}` };
}

/** A leader ends the joint phase once it has applied its beginning (section 4.3). */
export function leaveJointWhenDue(state: RaftState): void {
  const { configuration, log } = state;
  if (state.role !== "leader" || !configuration.autoLeave || !isJoint(configuration)) return;
  if (!state.committedInTerm || log.unappliedConfig !== 0) return;
  if (whatLeavesNoState(state, configuration) !== undefined) return;
  state.appendOwn("config", encodeConfigChange(LEAVE));
}

/** The configuration that a committed entry leaves, in force from now on. */
export function applyConfigEntry(state: RaftState, entry: LogEntry): Configuration {
  assert(entry.type === "config", `entry ${entry.index} is no config entry`);
  // A snapshot that arrived meanwhile stands behind this entry.
  if (entry.index <= state.log.applied) return state.configuration;
  state.log.appliedConfig(entry.index);
  const changed = changeConfiguration(state.configuration, decodeConfigChange(entry.data));
  assert(changed.type === "changed", `config entry ${entry.index} does not fit its predecessor`);
  state.configIndex = entry.index;
  state.configure(changed.configuration);
  if (!state.voter && state.role !== "follower") {
    if (state.role === "leader") resign(state);
    // The votes that it still gets elect nobody: it belongs to no majority.
    else becomeFollower(state, state.term, 0);
  }
  return state.configuration;
}

/** A leader that is no voter any more has brought that to pass, and leaves (section 4.2.2). */
function resign(state: RaftState): void {
  const { tracker, configuration, log, id: from, term } = state;
  const heir = tracker?.peers.find(
    (peer) => peer.active && !peer.witness && peer.match === log.lastIndex && tracker.decides(peer),
  );
  const to = heir?.member ?? configuration.voters[0];
  assert(to !== undefined, "a group has a voter");
  if (heir !== undefined) state.sendEarly({ type: "timeout-now", from, to, term });
  becomeFollower(state, term, 0);
}
