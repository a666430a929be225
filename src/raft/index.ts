export { decodeConfigChange } from "./config-codec.ts";
export { decodeMessage, encodeMessage } from "./message-codec.ts";
export { createRaft } from "./raft.ts";
export type * from "./types.ts";
