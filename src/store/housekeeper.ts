import { sleep } from "../lib/index.ts";
import type { CancelTimer, Clock, Logger } from "../lib/index.ts";
import type { Revision } from "../mvcc/index.ts";
import type { LogEntry, LogIndex } from "../raft/index.ts";
import { isDiskFull } from "./disk.ts";
import type { Driver } from "./driver.ts";
import type { DurableLog } from "./log/log-types.ts";
import { LogRetention } from "./log-retention.ts";
import type { RetentionLimits } from "./log-retention.ts";
import type { StoreState } from "./store-state.ts";

export interface HousekeeperLimits {
  /** Bytes of SQLite's write-ahead log that start a checkpoint, after which it is empty. */
  readonly checkpointBytes: number;
  /**
   * So many of them go into the state file at a time: all at once, they would hold up every sync
   * of the raft log for a tenth of a second, on all members in the same moment.
   */
  readonly moveBytes: number;
  /** States are kept for one to two times this. */
  readonly historyMs: number;
  /** More changes than this are compacted away before their time. */
  readonly historyRevisions: number;
  /**
   * Changes are kept in memory for one to two times this. Each keeps the object before and after
   * it, decoded once somebody looked: a burst of writes would hold tens of megabytes for ever.
   */
  readonly windowMs: number;
  /** What of the log is kept for members that are a little late; nothing when there are none. */
  readonly retention?: RetentionLimits;
}

export const HOUSEKEEPER_LIMITS: HousekeeperLimits = {
  checkpointBytes: 32 * 1024 * 1024,
  moveBytes: 4 * 1024 * 1024,
  historyMs: 5 * 60 * 1000,
  historyRevisions: 200_000,
  windowMs: 30 * 1000,
};

/** What an entry adds to SQLite's write-ahead log beside its data: its share of some pages. */
const ENTRY_PAGES_BYTES = 2 * 1024;
/** How long that log is takes a statement to know: it is asked for so often until it is due. */
const LOOKS = 32;
/** Rows looked at, and pages given back, in one turn of the event loop. */
const SCAVENGE_ROWS = 256;
const VACUUM_PAGES = 64;

export interface HousekeeperOptions {
  readonly state: StoreState;
  readonly log: Pick<DurableLog, "base" | "dropThrough">;
  readonly driver: Driver;
  /** Entries from here on are still needed by a member that is getting the state. */
  readonly neededFrom: () => LogIndex | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<HousekeeperLimits> | undefined;
}

/**
 * Keeps log, history and file small: checkpoints, compaction by age and number, scavenging in
 * slices. It starts with writes only, and rests when there is nothing to do.
 */
export class Housekeeper {
  readonly #options: HousekeeperOptions;
  readonly #limits: HousekeeperLimits;
  readonly #stopped = new AbortController();
  readonly #retention: LogRetention;
  /** Nothing looks into the state while another one takes its place. */
  #paused = false;
  #work: Promise<void> | undefined;
  #compacting: Promise<unknown> | undefined;
  #cancelTick: CancelTimer | undefined;
  /** The revision at the last tick: at the next one, it is old enough to compact. */
  #mark: Revision;
  #cancelForget: CancelTimer | undefined;
  /** As `#mark`, for the window. */
  #windowMark: Revision;
  /** What was written since the write-ahead log's length was asked for, roughly. */
  #unmeasuredBytes = Infinity;
  /** History up to here has been scavenged since the store was opened. */
  #scavenged = 0;

  constructor(options: HousekeeperOptions) {
    this.#options = options;
    this.#limits = { ...HOUSEKEEPER_LIMITS, ...options.limits };
    const { machine } = options.state;
    this.#mark = machine.revision;
    this.#windowMark = machine.revision;
    this.#retention = new LogRetention(machine.appliedIndex as LogIndex, this.#limits.retention);
    // A past life may have left work.
    if (machine.compactedRevision > 0) this.afterApply();
  }

  /** Keeps count of what is kept for others. */
  applied(entry: LogEntry): void {
    this.#retention.note(entry.index, entry.data.length);
    this.#unmeasuredBytes += entry.data.length + ENTRY_PAGES_BYTES;
    this.afterApply();
  }

  /** Runs while nothing of the housekeeping touches the state, which may be another afterwards. */
  async aside<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#paused = true;
    try {
      await this.#work;
      const result = await work();
      const { machine } = this.#options.state;
      this.#mark = machine.revision;
      this.#windowMark = machine.revision;
      this.#scavenged = 0;
      return result;
    } finally {
      this.#paused = false;
      this.afterApply();
    }
  }

  /** Called after every applied entry; cheap when there is nothing to do. */
  afterApply(): void {
    if (this.#stopped.signal.aborted || this.#paused) return;
    const { machine } = this.#options.state;
    const { historyMs, historyRevisions, windowMs } = this.#limits;
    if (machine.revision > machine.compactedRevision) {
      this.#cancelTick ??= this.#options.clock.after(historyMs, () => this.#tick());
    }
    if (machine.revision >= machine.window.firstRevision) {
      this.#cancelForget ??= this.#options.clock.after(windowMs, () => this.#forget());
    }
    if (machine.revision - machine.compactedRevision > historyRevisions) {
      this.#compact((machine.revision - Math.floor(historyRevisions / 2)) as Revision);
    }
    if (this.#work !== undefined) return;
    if (machine.compactedRevision <= this.#scavenged && !this.#isWriteAheadDue()) return;
    this.#work = this.#tidy()
      .catch((error: unknown) => {
        // Tidying can wait for space; an entry that finds none says so.
        if (isDiskFull(error))
          this.#options.logger.warn("no space to tidy", { error: String(error) });
        else this.#options.driver.fail(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  #isWriteAheadDue(): boolean {
    const { checkpointBytes, moveBytes } = this.#limits;
    if (this.#unmeasuredBytes < Math.min(checkpointBytes, moveBytes) / LOOKS) return false;
    this.#unmeasuredBytes = 0;
    const { bytes, unmovedBytes } = this.#options.state.storage.writeAhead();
    return bytes >= checkpointBytes || unmovedBytes >= moveBytes;
  }

  async #relieveWriteAhead(): Promise<void> {
    const { storage } = this.#options.state;
    const { checkpointBytes, moveBytes } = this.#limits;
    const { bytes, unmovedBytes } = storage.writeAhead();
    if (bytes >= checkpointBytes) await this.checkpoint();
    else if (unmovedBytes >= moveBytes) await this.#moveWriteAhead();
  }

  async #moveWriteAhead(): Promise<void> {
    const { storage } = this.#options.state;
    await storage.moveWriteAhead();
    // Where nothing is left to move, the next write would begin a new log and sync its header, on
    // the event loop: a checkpoint does that elsewhere.
    if (storage.writeAhead().unmovedBytes === 0) await this.checkpoint();
  }

  /** Ends the slices and timers; resolves when nothing of them runs any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#cancelTick?.();
    this.#cancelForget?.();
    await this.#work;
    await this.#compacting;
  }

  /**
   * Makes the applied state durable, and gives up the log below it: as far as the file had it
   * before, so that no segment goes whose entries came during the checkpoint (law 8).
   */
  async checkpoint(): Promise<void> {
    const { state, driver, logger } = this.#options;
    const { outcome, index } = await state.checkpoint((work) => driver.exclusive(work));
    switch (outcome) {
      case "complete":
        await this.#dropLog(index as LogIndex);
        return;
      case "partial":
        logger.warn("a checkpoint was held up by another reader of the state file");
        return;
      case "full":
        logger.warn("a checkpoint found no space");
    }
  }

  /** @param durable the state stands for everything up to here, whatever happens */
  async #dropLog(durable: LogIndex): Promise<void> {
    const { log, driver, neededFrom } = this.#options;
    const kept = driver.alone ? durable : this.#retention.droppable();
    const needed = neededFrom() ?? Infinity;
    const index = Math.min(durable, kept, needed) as LogIndex;
    const before = log.base.index;
    if (index <= before) return;
    await log.dropThrough(index);
    if (log.base.index > before) driver.compacted(log.base);
  }

  async #tidy(): Promise<void> {
    const { state: current, clock } = this.#options;
    const { machine } = current;
    const { signal } = this.#stopped;
    await this.#relieveWriteAhead();
    const compacted = machine.compactedRevision;
    for (let state = "more"; state === "more" && !signal.aborted && !this.#paused;) {
      if (compacted > this.#scavenged) {
        state = machine.history.scavenge(compacted, SCAVENGE_ROWS);
        if (state === "done") this.#scavenged = compacted;
      }
      if (compacted <= this.#scavenged) state = machine.history.vacuum(VACUUM_PAGES);
      if (state === "more") await sleep(clock, 0, signal);
      await this.#relieveWriteAhead();
    }
  }

  #tick(): void {
    const { machine } = this.#options.state;
    this.#cancelTick = undefined;
    this.#compact(this.#mark);
    this.#mark = machine.revision;
    this.afterApply();
  }

  /** Watchers further behind than this list anew; new ones read the past from history. */
  #forget(): void {
    const { machine } = this.#options.state;
    this.#cancelForget = undefined;
    machine.window.forget(this.#windowMark);
    this.#windowMark = machine.revision;
    this.afterApply();
  }

  #compact(revision: Revision): void {
    const { driver, state } = this.#options;
    // Where this is no leader, the leader's decision comes with the log.
    if (revision <= state.machine.compactedRevision || !driver.leadership.now.self) return;
    // A refusal means that somebody compacted further meanwhile, or that the store has stopped.
    this.#compacting ??= driver
      .propose({ type: "compact", revision })
      .catch((error: unknown) => {
        this.#options.logger.debug("no compaction", { revision, error: String(error) });
      })
      .finally(() => {
        this.#compacting = undefined;
      });
  }
}
