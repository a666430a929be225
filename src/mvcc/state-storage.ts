import type { SqliteConnection } from "./database.ts";

export type CheckpointOutcome = "complete" | "partial";

/** Runs the work while no writer touches the state. */
export type Exclusive = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Where the state machine's SQLite lives, and what is done with it off the event loop. */
export interface StateStorage {
  /** The one connection that writes; only its owner uses it. */
  readonly db: SqliteConnection;
  /** Bytes that the next checkpoint would move; 0 right after one. */
  uncheckpointedBytes(): number;
  /**
   * Makes durable what is committed at the call. The write-ahead log starts anew while `exclusive`
   * holds back every writer, because its first write has to sync (DESIGN.md, "Checkpoints").
   * "partial": a foreign reader was in the way, and nothing is promised. A rejection is fatal: what
   * is on the medium is unknown.
   */
  checkpoint(exclusive: Exclusive): Promise<CheckpointOutcome>;
  /** Writes a consistent copy of what is committed to a new file. */
  snapshot(path: string): Promise<void>;
  /** Checkpoints and closes; nothing may use `db` meanwhile. */
  close(): Promise<void>;
}
