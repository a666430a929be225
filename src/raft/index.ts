export { createSoloCore } from "./solo-core.ts";
export type { SoloCoreOptions } from "./solo-core.ts";
export type {
  LogEntry,
  LogIndex,
  ProposeResult,
  RaftCore,
  ReadState,
  Ready,
  Term,
} from "./types.ts";
