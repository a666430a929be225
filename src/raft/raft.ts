import type { RaftCore, RaftLimits, RaftOptions } from "./types.ts";

export const DEFAULT_RAFT_LIMITS: RaftLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  maxAppendBytes: 1024 * 1024,
  maxInflightAppends: 256,
  maxInflightBytes: 16 * 1024 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxPendingReads: 16_384,
  maxMemoryLogBytes: 32 * 1024 * 1024,
  maxCommittedBytes: 4 * 1024 * 1024,
};

export function createRaft(options: RaftOptions): RaftCore {
  throw new Error(`member ${options.id} is not built yet`);
}
