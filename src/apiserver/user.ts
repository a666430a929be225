/** Who makes a request. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Members may do everything. */
export const ADMINISTRATORS = "system:masters";
export const AUTHENTICATED = "system:authenticated";
export const UNAUTHENTICATED = "system:unauthenticated";

export const ANONYMOUS: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };

/** Every node's agent is in it. */
export const NODES = "system:nodes";
const NODE_NAME_PREFIX = "system:node:";

/** "system:node:pi" */
export function nodeUserName(nodeName: string): string {
  return NODE_NAME_PREFIX + nodeName;
}

/** The node whose agent this is; undefined for everybody else. */
export function nodeNameOf({ name, groups }: User): string | undefined {
  if (!name.startsWith(NODE_NAME_PREFIX) || !groups.includes(NODES)) return undefined;
  return name.slice(NODE_NAME_PREFIX.length) || undefined;
}
