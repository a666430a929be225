export type { ClusterConnection } from "./cluster-connection.ts";
export { runProgram } from "./program.ts";
export type { ProgramOptions, Verbs } from "./program.ts";
export type { AgentFlags } from "./agent-flags.ts";
export type { PortRange } from "./flag-schemas.ts";
export type {
  ClusterOption,
  DataDirOption,
  GroupVerbs,
  JoinRole,
  TokenCreateOptions,
} from "./group-commands.ts";
export { bearerOf, formatJoinToken, parseJoinToken } from "./join-token.ts";
export type { JoinToken } from "./join-token.ts";
export { formatServerFlags, WHERE_TOKENS_GO } from "./server-flags.ts";
export type { ServerFlags } from "./server-flags.ts";
export { CommandError, UsageError } from "./usage-error.ts";
export { describeServiceRoutes, findServiceRoutes } from "./service.ts";
export { describeStatus } from "./status.ts";
export { applyObjects } from "./apply-objects.ts";
export { clusterSender, pushImage } from "./image.ts";
export type { ImageVerbs } from "./image-commands.ts";
export { imageVerbs } from "./image-verbs.ts";
export type { ImageVerbOptions } from "./image-verbs.ts";
export { textTable } from "./text-table.ts";
export { isNodeName, NODE_NAME_RULE } from "./node-name.ts";
