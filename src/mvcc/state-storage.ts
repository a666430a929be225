import type { SqliteConnection } from "./database.ts";

/**
 * "complete": what was committed at the call is durable. "partial": a foreign reader was in the
 * way. "full": there was no space for it. Nothing is promised by the last two, nothing is lost, and
 * a later call may do better.
 */
export type CheckpointOutcome = "complete" | "partial" | "full";

/** Runs the work while no writer touches the state. */
export type Exclusive = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** What a state file says of itself; the same on every replica at an equal applied index. */
export interface StatePoint {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly featureLevel: number;
  /** Empty while the log had no config entry. */
  readonly clusterId: string;
  /** As {@link StateMachine.applyConfig} was given them. */
  readonly members: Uint8Array;
}

/** SQLite's write-ahead log: all of it, and what the state file does not have yet. */
export interface WriteAhead {
  readonly bytes: number;
  readonly unmovedBytes: number;
}

/** Where the state machine's SQLite lives, and what is done with it off the event loop. */
export interface StateStorage {
  /** The one connection that writes; only its owner uses it. Another one after `install`. */
  readonly db: SqliteConnection;
  /** Asked for after writes: costs a few microseconds. */
  writeAhead(): WriteAhead;
  /**
   * Makes durable what is committed at the call while writers go on; the write-ahead log stays as
   * long as it is. A rejection is fatal, as that of `checkpoint`.
   */
  moveWriteAhead(): Promise<CheckpointOutcome>;
  /**
   * Makes durable what is committed at the call. The write-ahead log starts anew while `exclusive`
   * holds back every writer, because its first write has to sync (DESIGN.md, "Checkpoints").
   * A rejection is fatal: what is on the medium is unknown.
   */
  checkpoint(exclusive: Exclusive): Promise<CheckpointOutcome>;
  /**
   * Writes a consistent copy of what is committed to a new file, and tells where it stands: the
   * file for a peer. Writers go on meanwhile. @throws DiskFullError-like errors (code ENOSPC) and
   * others; the state itself is untouched by them.
   */
  snapshot(path: string): Promise<StatePoint>;
  /**
   * Replaces the state by a file that a peer sent, and removes that file. Before: apply nothing
   * any more. After: the old state machine is void, `StateMachine.open(this)` gives the new one.
   * Crash safe at every step: afterwards it is the old state or the new one. The caller then resets
   * the log to the returned point; if it does not come to that, `installedIndex` of the machine
   * says at the next open that the log has to begin there (SegmentedLogOptions.installed).
   *
   * @throws StateFileError when the file is damaged or of a newer version: the old state goes on.
   */
  install(path: string): Promise<StatePoint>;
  /** Checkpoints and closes; nothing may use `db` meanwhile. */
  close(): Promise<void>;
}
