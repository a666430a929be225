import { textTable } from "../cli/index.ts";
import type { ClusterOption } from "../cli/index.ts";
import { ask, connectAsAdmin } from "./join-connection.ts";
import type { GroupVerbOptions } from "./join-verbs.ts";
import { CLUSTER_PATH, memberAnswerSchema, memberListSchema } from "./join-wire.ts";
import type { MemberList } from "./join-wire.ts";

const MEMBERS_PATH = `${CLUSTER_PATH}/members`;

/** `kubun member list`. */
export async function listMembers(
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const connection = connectAsAdmin(options);
  const list = await ask(connection, {
    method: "GET",
    path: MEMBERS_PATH,
    answer: memberListSchema,
  });
  write(describeMembers(list.members));
}

/** `kubun member remove NAME|ID`. */
export async function removeMember(
  nameOrId: string,
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const path = `${MEMBERS_PATH}/${encodeURIComponent(nameOrId)}`;
  const call = { method: "DELETE" as const, path, answer: memberAnswerSchema };
  const { member } = await ask(connectAsAdmin(options), call);
  write(
    `member ${member.id} (${member.name}) is removed: it cannot vote again, and its data ` +
      "directory may be deleted\n",
  );
}

/** `kubun member promote NAME|ID`. */
export async function promoteMember(
  nameOrId: string,
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const path = `${MEMBERS_PATH}/${encodeURIComponent(nameOrId)}/promote`;
  const call = { method: "POST" as const, path, answer: memberAnswerSchema };
  const { member } = await ask(connectAsAdmin(options), call);
  write(`member ${member.id} (${member.name}) votes\n`);
}

/** What `kubun member list` prints; "?" is what only the leader knows. */
export function describeMembers(members: MemberList["members"]): string {
  const rows = members.map((member) => [
    String(member.id),
    member.name,
    member.leader ? "leader" : member.role,
    member.leader || member.reachable === true ? "yes" : yesOrNo(member.reachable),
    member.lag === undefined ? "?" : String(member.lag),
    member.peerAddress,
    member.apiAddress === "" ? "-" : member.apiAddress,
  ]);
  return textTable(["ID", "NAME", "ROLE", "REACHABLE", "BEHIND", "PEER ADDRESS", "API"], rows);
}

function yesOrNo(value: boolean | undefined): string {
  if (value === undefined) return "?";
  return value ? "yes" : "no";
}
