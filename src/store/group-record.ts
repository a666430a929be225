import { Buffer } from "node:buffer";
import type { Configuration, MemberId, MemberRole } from "../raft/index.ts";
import type { Member } from "./store.ts";

/** The last so many removed ids are remembered, to be refused. */
const MAX_REMOVED = 1_000;

/**
 * The group as it is at an applied index: what every replica keeps with its state, and what a
 * snapshot carries. The core knows ids and roles, the store names and addresses.
 */
export interface GroupRecord {
  readonly configuration: Configuration;
  readonly members: readonly Member[];
  /** An id is never used twice: a wiped or removed server comes back as a new member. */
  readonly removed: readonly MemberId[];
}

export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  witnesses: [],
  autoLeave: false,
};

export const EMPTY_GROUP: GroupRecord = {
  configuration: EMPTY_CONFIGURATION,
  members: [],
  removed: [],
};

/** A group of its founder alone; the log's first config entry says the same. */
export function groupOf(founder: Member): GroupRecord {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [founder.id] };
  return { configuration, members: [{ ...founder, role: "voter" }], removed: [] };
}

export function encodeGroup(record: GroupRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record), "utf8");
}

/** @returns undefined for no bytes: a state from before there were groups */
export function decodeGroup(bytes: Uint8Array | undefined): GroupRecord | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as GroupRecord;
}

/** What a config entry says beside ids and roles. */
export function encodeContext(members: readonly Member[]): Uint8Array {
  return members.length === 0 ? new Uint8Array() : Buffer.from(JSON.stringify(members), "utf8");
}

export function decodeContext(context: Uint8Array): readonly Member[] {
  if (context.length === 0) return [];
  return JSON.parse(Buffer.from(context).toString("utf8")) as readonly Member[];
}

/** The group behind a config entry: known members, changed by those that the entry tells of. */
export function changedGroup(
  before: GroupRecord,
  configuration: Configuration,
  told: readonly Member[],
): GroupRecord {
  const known = new Map(before.members.map((member) => [member.id, member]));
  for (const member of told) known.set(member.id, member);
  const ids = memberIds(configuration);
  const members = ids.map((id): Member => {
    const blank = { id, name: "", peerAddress: "", apiAddress: "" };
    return { ...(known.get(id) ?? blank), role: roleOf(configuration, id) };
  });
  const gone = before.members.filter((member) => !ids.includes(member.id));
  const removed = [...before.removed, ...gone.map((member) => member.id)].slice(-MAX_REMOVED);
  return { configuration, members, removed };
}

/** Everybody who receives the log, in rising order. */
export function memberIds(configuration: Configuration): MemberId[] {
  const { voters, outgoing, learners } = configuration;
  return [...new Set([...voters, ...outgoing, ...learners])].sort((a, b) => a - b);
}

export function roleOf(configuration: Configuration, id: MemberId): MemberRole {
  if (configuration.witnesses.includes(id)) return "witness";
  return configuration.voters.includes(id) ? "voter" : "learner";
}

/** Whether nobody but this member has a say or receives the log. */
export function isAlone(configuration: Configuration, id: MemberId): boolean {
  const others = memberIds(configuration).filter((member) => member !== id);
  return others.length === 0 && configuration.voters.includes(id);
}
