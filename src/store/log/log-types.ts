import type { Random } from "../../lib/index.ts";
import type { HardState, LogEntry, LogIndex, Term } from "../../raft/index.ts";
import type { Disk } from "../disk.ts";

/** A point of the log that a state stands for: everything up to it is in that state. */
export interface LogPoint {
  readonly index: LogIndex;
  readonly term: Term;
}

export interface SegmentedLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly random: Random;
  /** What the state has applied: a new log begins behind it. */
  readonly applied: LogPoint;
  /**
   * The state was installed from a peer at `applied` and nothing was applied since (the machine's
   * `installedIndex` is its `appliedIndex`), so perhaps the log was not reset in time: a log that
   * does not reach it begins anew there instead of being damaged.
   */
  readonly installed?: boolean;
  /**
   * "refuse" (alone): damage throws. "refetch" (with peers): the log is cut at the damage, and
   * `OpenedLog.recoverTo` tells what the peers must give back before this member counts again.
   */
  readonly repair?: LogRepair;
  readonly segmentBytes?: number | undefined;
  /** A segment grows by so much at once; 0: by what is written. */
  readonly growthBytes?: number | undefined;
  /** Entries at the log's end that are handed out by `open`, at most so many bytes of data. */
  readonly tailBytes?: number | undefined;
}

export type LogRepair =
  | { readonly type: "refuse" }
  | {
      readonly type: "refetch";
      /** Called before the log is cut below what is applied: from then on only the state has it. */
      readonly makeStateDurable: () => Promise<void>;
    };

export interface OpenedLogState {
  /**
   * The last one written. `commit` is at most the last index and at least what was recorded; of a
   * log of the first release (which had none): its last term, no vote, everything committed.
   */
  readonly hardState: HardState;
  /** The entry before the first one that can be read: where the log begins. */
  readonly base: LogPoint;
  readonly lastIndex: LogIndex;
  /** Term of the last entry, or of the base when there is none. */
  readonly lastTerm: Term;
  /** The last entries without a gap up to the end, for the core's memory. Older ones: `read`. */
  readonly tail: readonly LogEntry[];
  /**
   * Entries up to here were durable once and are lost (this open found damage, or an earlier one
   * did and the peers have not given everything back yet): the core's option of the same name.
   */
  readonly recoverTo?: LogIndex;
}

export interface LogAppend {
  /** Without a gap; the first one follows the last of the log, or replaces a suffix of it. */
  readonly entries: readonly LogEntry[];
  readonly hardState?: HardState | undefined;
  /** Writes the hard state also where only `commit` is new: who decides has changed by it. */
  readonly commitCounts?: true;
}

/** The log on disk is not what was written: never repaired silently. */
export class LogDamagedError extends Error {
  override readonly name = "LogDamagedError";
  readonly file: string;
  /** Byte at which the file stops to make sense. */
  readonly offset: number;

  constructor(file: string, offset: number, what: string) {
    super(
      `the log is damaged: ${file} at byte ${offset}: ${what}. ` +
        `Restore the data directory from a snapshot, or remove this member and join it anew.`,
    );
    this.file = file;
    this.offset = offset;
  }
}

/** What the driver has of the log on disk; see segmented-log.ts. */
export interface DurableLog {
  readonly base: LogPoint;
  readonly lastIndex: LogIndex;
  /**
   * One durable write. What it resolved for is there after any crash. With no entries and a hard
   * state that differs in `commit` alone nothing is written: the next frame takes it along.
   *
   * @throws DiskFullError and the log is as before: append again when there may be space. A hard
   * state *without entries* is written to a reserve even then: give term and vote alone. Any other
   * rejection is final, and every later append rejects too. One append at a time.
   */
  append(append: LogAppend): Promise<void>;
  /**
   * Entries from `from` on: at least one, then as many as fit into `maxBytes` of data; none when
   * `from` is behind the end. "compacted": `from` is at or below the base. May run beside an
   * append.
   */
  read(from: LogIndex, maxBytes: number): Promise<readonly LogEntry[] | "compacted">;
  /** Of the base and everything behind it; undefined elsewhere. */
  termAt(index: LogIndex): Term | undefined;
  /** The log begins anew behind an installed state; the hard state stays (commit: at least it). */
  reset(point: LogPoint): Promise<void>;
  /** Gives up segments whose entries are all at or below what the state keeps durably. */
  dropThrough(index: LogIndex): Promise<void>;
  close(): Promise<void>;
}
