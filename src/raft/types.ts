import type { Brand } from "../lib/index.ts";

/** Position in the log, from 1; 0 stands before the first entry. */
export type LogIndex = Brand<number, "LogIndex">;

/** Raft's logical clock, from 1. */
export type Term = Brand<number, "Term">;

/** What the members agree on. The core never looks into `data`; empty data is a no-op. */
export interface LogEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly data: Uint8Array;
}

/** Answers one `readIndex(context)`: a state with `index` applied may answer that read. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * What the driver has to do next. `entries` must be durable before `advance` is called with this
 * ready; `committed` may be applied at the same time, because they were durable before.
 */
export interface Ready {
  readonly entries: readonly LogEntry[];
  readonly committed: readonly LogEntry[];
  readonly readStates: readonly ReadState[];
}

export type ProposeResult =
  | { readonly type: "accepted"; readonly index: LogIndex }
  | { readonly type: "not-leader" };

/**
 * The consensus core as its driver sees it (after etcd's raft): synchronous, without clock, disk
 * and network. One ready is outstanding at most: `ready`, persist and apply, `advance`, again.
 */
export interface RaftCore {
  readonly term: Term;
  propose(data: Uint8Array): ProposeResult;
  /**
   * Asks which index a linearizable read has to wait for (Raft dissertation, section 6.4). The
   * answer comes at once from a leader that needs no quorum for it, else in a later ready.
   */
  readIndex(context: number): ReadState | undefined;
  hasReady(): boolean;
  ready(): Ready;
  advance(ready: Ready): void;
}
