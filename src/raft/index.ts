export { decodeConfigChange, encodeConfigChange } from "./config-codec.ts";
export { decodeMessage, encodeMessage } from "./message-codec.ts";
export { createRaft, DEFAULT_RAFT_LIMITS } from "./raft.ts";
export { RaftWireError } from "./wire.ts";
export type * from "./types.ts";
