import { MAX_CONFIG_MEMBERS } from "./config-codec.ts";
import type { ConfigChange, ConfigStep, Configuration, MemberId } from "./types.ts";

export type ChangedConfiguration =
  | { readonly type: "changed"; readonly configuration: Configuration }
  | { readonly type: "invalid"; readonly reason: string };

/** A configuration while it is being changed. */
interface Draft {
  readonly voters: Set<MemberId>;
  readonly outgoing: ReadonlySet<MemberId>;
  readonly learners: Set<MemberId>;
  readonly learnersNext: Set<MemberId>;
  readonly witnesses: Set<MemberId>;
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** Whether the member's vote counts. */
export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.outgoing.includes(member);
}

export function isWitness(configuration: Configuration, member: MemberId): boolean {
  return configuration.witnesses.includes(member);
}

export function isMember(configuration: Configuration, member: MemberId): boolean {
  const { learners, learnersNext } = configuration;
  const learns = learners.includes(member) || learnersNext.includes(member);
  return learns || isVoter(configuration, member);
}

/**
 * The configuration that follows (dissertation, chapter 4). One step is safe by itself, because
 * majorities that differ by one voter share a member; several make a joint configuration, which a
 * change without steps ends.
 */
export function changeConfiguration(
  current: Configuration,
  change: ConfigChange,
): ChangedConfiguration {
  const { steps } = change;
  if (steps.length === 0) return leaveJoint(current);
  if (isJoint(current)) return invalid("a joint configuration has to be left first");
  const members = new Set(steps.map((step) => step.member));
  if (members.size !== steps.length) return invalid("a change has one step a member");
  const joint = steps.length > 1;
  const draft: Draft = {
    voters: new Set(current.voters),
    outgoing: new Set(joint ? current.voters : []),
    learners: new Set(current.learners),
    learnersNext: new Set(),
    witnesses: new Set(current.witnesses),
  };
  for (const step of steps) {
    const reason = applyStep(draft, step);
    if (reason !== undefined) return invalid(reason);
  }
  return checked(draft, joint);
}

function leaveJoint(current: Configuration): ChangedConfiguration {
  if (!isJoint(current)) return invalid("only a joint configuration is left without steps");
  const configuration: Configuration = {
    voters: current.voters,
    outgoing: [],
    learners: [...current.learners, ...current.learnersNext],
    learnersNext: [],
    witnesses: current.witnesses.filter((member) => current.voters.includes(member)),
    autoLeave: false,
  };
  return { type: "changed", configuration };
}

function applyStep(draft: Draft, step: ConfigStep): string | undefined {
  const { member } = step;
  if (!Number.isSafeInteger(member) || member < 1) {
    return `a member's id is a positive safe integer, not ${member}`;
  }
  const votes = draft.voters.has(member);
  const known = votes || draft.learners.has(member);
  if (step.type === "remove") {
    if (!known) return `${member} is no member`;
    forget(draft, member);
    return undefined;
  }
  const witness = draft.witnesses.has(member);
  if (witness !== (step.role === "witness") && known) {
    return `${member} is ${witness ? "a" : "no"} witness: that cannot change`;
  }
  if (step.role === "learner") {
    forget(draft, member);
    const next = draft.outgoing.has(member) ? draft.learnersNext : draft.learners;
    next.add(member);
    return undefined;
  }
  draft.learners.delete(member);
  draft.voters.add(member);
  if (step.role === "witness") draft.witnesses.add(member);
  return undefined;
}

function forget(draft: Draft, member: MemberId): void {
  draft.voters.delete(member);
  draft.learners.delete(member);
  if (!draft.outgoing.has(member)) draft.witnesses.delete(member);
}

function checked(draft: Draft, joint: boolean): ChangedConfiguration {
  const { voters, outgoing, learners, learnersNext, witnesses } = draft;
  if (![...voters].some((member) => !witnesses.has(member))) {
    return invalid("a group has a voter that is no witness");
  }
  const count = new Set([...voters, ...outgoing, ...learners, ...learnersNext]).size;
  if (count > MAX_CONFIG_MEMBERS) {
    return invalid(`a group has at most ${MAX_CONFIG_MEMBERS} members, not ${count}`);
  }
  const configuration: Configuration = {
    voters: [...voters],
    outgoing: [...outgoing],
    learners: [...learners],
    learnersNext: [...learnersNext],
    witnesses: [...witnesses],
    autoLeave: joint,
  };
  return { type: "changed", configuration };
}

function invalid(reason: string): ChangedConfiguration {
  return { type: "invalid", reason };
}
