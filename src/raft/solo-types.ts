import type { LogIndex, Term } from "./types.ts";

/** What the members agree on. The core never looks into `data`; empty data is a no-op. */
export interface SoloEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly data: Uint8Array;
}

/** Answers one `readIndex(context)`: a state with `index` applied may answer that read. */
export interface SoloReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * What the driver has to do next. `entries` must be durable before `advance` is called with this
 * ready; `committed` may be applied at the same time, because they were durable before.
 */
export interface SoloReady {
  readonly entries: readonly SoloEntry[];
  readonly committed: readonly SoloEntry[];
  readonly readStates: readonly SoloReadState[];
}

export type SoloProposeResult =
  | { readonly type: "accepted"; readonly index: LogIndex }
  | { readonly type: "not-leader" };

/**
 * The consensus core as its driver sees it (after etcd's raft): synchronous, without clock, disk
 * and network. One ready is outstanding at most: `ready`, persist and apply, `advance`, again.
 */
export interface SoloRaftCore {
  readonly term: Term;
  propose(data: Uint8Array): SoloProposeResult;
  /**
   * Asks which index a linearizable read has to wait for (Raft dissertation, section 6.4). The
   * answer comes at once from a leader that needs no quorum for it, else in a later ready.
   */
  readIndex(context: number): SoloReadState | undefined;
  hasReady(): boolean;
  ready(): SoloReady;
  advance(ready: SoloReady): void;
}
