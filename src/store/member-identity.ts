import { Buffer } from "node:buffer";
import { assert, randomUuid } from "../lib/index.ts";
import type { Random } from "../lib/index.ts";
import type { MemberId } from "../raft/index.ts";
import type { Disk } from "./disk.ts";
import { readDurableFile, writeDurableFile } from "./durable-file.ts";

/** Who a directory is, kept in it: durable before anything else of a member is. */
export interface MemberIdentity {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** Whether it began the group alone, so that its log begins with itself as the only voter. */
  readonly founder: boolean;
  /**
   * new: nothing else may be durable yet. member: it may have voted and acknowledged, so that a
   * directory which has nothing else was wiped. removed: it takes part in nothing any more.
   */
  readonly phase: "new" | "member" | "removed";
}

/** A directory that must not take part: its message says what to do. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

export const IDENTITY_FILE = "member.json";

/** Fits a safe integer, and leaves room below it. */
const MEMBER_ID_BYTES = 6;

/** Never given out before: random, so that nobody has to keep count. */
export function newMemberId(random: Random): MemberId {
  return (Buffer.from(random.bytes(MEMBER_ID_BYTES)).readUIntBE(0, MEMBER_ID_BYTES) +
    1) as MemberId;
}

export function newClusterId(random: Random): string {
  return randomUuid(random);
}

/** Who the directory is; undefined when it never belonged to a group. */
export async function readMemberIdentity(options: {
  readonly disk: Disk;
  readonly directory: string;
}): Promise<MemberIdentity | undefined> {
  const path = `${options.directory}/${IDENTITY_FILE}`;
  const text = await readDurableFile(options.disk, options.directory, IDENTITY_FILE);
  if (text === undefined) return undefined;
  const parsed: unknown = JSON.parse(text);
  if (!isIdentity(parsed)) throw new IdentityError(`${path} is not the identity of a member`);
  const { memberId, clusterId, founder, phase } = parsed;
  return { memberId, clusterId, founder, phase };
}

export async function writeMemberIdentity(
  options: { readonly disk: Disk; readonly directory: string },
  identity: MemberIdentity,
): Promise<void> {
  assert(Number.isSafeInteger(identity.memberId) && identity.memberId > 0, "an id is positive");
  const text = JSON.stringify({ version: 1, ...identity });
  await writeDurableFile(options.disk, options.directory, IDENTITY_FILE, text);
}

function isIdentity(value: unknown): value is MemberIdentity {
  if (typeof value !== "object" || value === null) return false;
  const { memberId, clusterId, founder, phase } = value as Partial<Record<string, unknown>>;
  const phases: readonly unknown[] = ["new", "member", "removed"];
  return (
    Number.isSafeInteger(memberId) &&
    typeof clusterId === "string" &&
    typeof founder === "boolean" &&
    phases.includes(phase)
  );
}
