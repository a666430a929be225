import type { GroupVerbs } from "../cli/index.ts";

export interface GroupVerbOptions {
  /** Where answers go: standard output. */
  readonly write: (text: string) => void;
}

/** The verbs about tokens, members and snapshots; each loads what it needs when it is called. */
export function groupVerbs(options: GroupVerbOptions): Omit<GroupVerbs, "agent"> {
  return {
    async tokenCreate(given) {
      const { createToken } = await import("./token-verbs.ts");
      await createToken(given, options);
    },
    async tokenList(given) {
      const { listTokens } = await import("./token-verbs.ts");
      await listTokens(given, options);
    },
    async tokenRevoke(id, given) {
      const { revokeToken } = await import("./token-verbs.ts");
      await revokeToken(id, given, options);
    },
    async memberList(given) {
      const { listMembers } = await import("./member-verbs.ts");
      await listMembers(given, options);
    },
    async memberRemove(nameOrId, given) {
      const { removeMember } = await import("./member-verbs.ts");
      await removeMember(nameOrId, given, options);
    },
    async memberPromote(nameOrId, given) {
      const { promoteMember } = await import("./member-verbs.ts");
      await promoteMember(nameOrId, given, options);
    },
    async snapshotSave(file, given) {
      const { saveSnapshot } = await import("./snapshot-verbs.ts");
      await saveSnapshot(file, given, options);
    },
    async snapshotRestore(file, given) {
      const { restoreFromSnapshot } = await import("./snapshot-verbs.ts");
      await restoreFromSnapshot(file, given, options);
    },
  };
}
