import type { Random } from "../lib/index.ts";
import type { MemberId } from "../raft/index.ts";
import type { Disk } from "./disk.ts";
import type { GroupOptions } from "./group-options.ts";
import {
  IdentityError,
  newClusterId,
  newMemberId,
  readMemberIdentity,
  writeMemberIdentity,
} from "./member-identity.ts";
import type { MemberIdentity } from "./member-identity.ts";

export interface ClaimOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly random: Random;
  readonly group: Pick<GroupOptions, "self" | "clusterId" | "start"> | undefined;
  /** Whether the directory has a log, or anything applied. */
  readonly hasLog: boolean;
  readonly hasState: boolean;
}

/**
 * Finds out who the directory is, or makes it somebody: durable before anything else is.
 * @throws IdentityError when the directory must not take part as whom it is opened
 */
export async function claimIdentity(options: ClaimOptions): Promise<MemberIdentity> {
  const { group, hasLog, directory } = options;
  const known = await readMemberIdentity(options);
  if (known === undefined) return beginIdentity(options);
  if (group !== undefined) checkSame(known, group, directory);
  if (known.phase === "removed") {
    throw new IdentityError(
      `member ${known.memberId} was removed from its cluster and cannot come back: ` +
        `empty ${directory}, and join as a new member`,
    );
  }
  if (known.phase === "member" && !hasLog) throw wiped(directory, known.memberId);
  return known;
}

/** Whether there is a segment; spare ones and unfinished ones say nothing. */
export async function hasLog(disk: Disk, logDirectory: string): Promise<boolean> {
  const names = await disk.list(logDirectory);
  return names.some((name) => name.endsWith(".log"));
}

/** From now on the directory may have promised something: it must not be found empty any more. */
export async function confirmIdentity(
  options: { readonly disk: Disk; readonly directory: string },
  identity: MemberIdentity,
): Promise<void> {
  if (identity.phase !== "new") return;
  await writeMemberIdentity(options, { ...identity, phase: "member" });
}

async function beginIdentity(options: ClaimOptions): Promise<MemberIdentity> {
  const { group, random, hasLog, hasState, directory } = options;
  const start = group?.start.type ?? "bootstrap";
  if (start === "restart") throw wiped(directory, group?.self.id);
  if (start === "join" && (hasLog || hasState)) {
    throw new IdentityError(
      `${directory} holds the state of another cluster: join with an empty directory`,
    );
  }
  const identity: MemberIdentity = {
    memberId: group?.self.id ?? newMemberId(random),
    clusterId: group?.clusterId ?? newClusterId(random),
    founder: start === "bootstrap",
    phase: "new",
  };
  await writeMemberIdentity(options, identity);
  return identity;
}

function checkSame(
  known: MemberIdentity,
  group: Pick<GroupOptions, "self" | "clusterId">,
  directory: string,
): void {
  const same = known.memberId === group.self.id && known.clusterId === group.clusterId;
  if (same) return;
  throw new IdentityError(
    `${directory} belongs to member ${known.memberId} of cluster ${known.clusterId}, ` +
      `not to member ${group.self.id} of cluster ${group.clusterId}`,
  );
}

function wiped(directory: string, id: MemberId | undefined): IdentityError {
  const who = id === undefined ? "this member" : `member ${id}`;
  return new IdentityError(
    `${directory} has lost the log of ${who}: it may have voted for what it does not know any ` +
      "more, so it cannot come back under its old identity. Remove the member from the cluster " +
      `(kubun member remove), empty ${directory}, and join it anew with a token`,
  );
}
