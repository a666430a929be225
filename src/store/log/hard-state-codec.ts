import type { Buffer } from "node:buffer";
import type { HardState, LogIndex, MemberId, Term } from "../../raft/index.ts";

/** term u64 · vote u64 · commit u64, little endian. */
export function writeHardState(bytes: Buffer, at: number, hardState: HardState): void {
  bytes.writeBigUInt64LE(BigInt(hardState.term), at);
  bytes.writeBigUInt64LE(BigInt(hardState.vote), at + 8);
  bytes.writeBigUInt64LE(BigInt(hardState.commit), at + 16);
}

export function readHardState(bytes: Buffer, at: number): HardState {
  return {
    term: Number(bytes.readBigUInt64LE(at)) as Term,
    vote: Number(bytes.readBigUInt64LE(at + 8)) as MemberId | 0,
    commit: Number(bytes.readBigUInt64LE(at + 16)) as LogIndex,
  };
}
