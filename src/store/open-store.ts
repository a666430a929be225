import type { Clock, Logger, Random } from "../lib/index.ts";
import { FEATURE_LEVEL, SqliteState, StateMachine } from "../mvcc/index.ts";
import type { EventWindowLimits, StateStorage } from "../mvcc/index.ts";
import { createSoloCore } from "../raft/index.ts";
import type { LogIndex, Term } from "../raft/index.ts";
import type { Disk } from "./disk.ts";
import { Driver } from "./driver.ts";
import type { DriverLimits } from "./driver.ts";
import { Housekeeper } from "./housekeeper.ts";
import type { HousekeeperLimits } from "./housekeeper.ts";
import { SegmentedLog } from "./log/segmented-log.ts";
import { RaftStore } from "./raft-store.ts";
import type { Store } from "./store.ts";
import { WatchHub } from "./watch-hub.ts";

export const STATE_FILE = "state.db";
export const LOG_DIRECTORY = "log";
/** A worker thread without work ends after this. */
const WORKER_IDLE_MS = 10_000;

export interface OpenStoreOptions {
  /** Holds the log and the state; created when missing, refused when in use. */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told once when the store can write no more (sync error, full disk): reads go on. */
  readonly onFatal?: (error: Error) => void;
  /** Where the state lives; by default `state.db` in the directory. */
  readonly storage?: StateStorage;
  readonly limits?: StoreLimits;
}

/** Every bound of the store; what is absent has its named default. */
export interface StoreLimits {
  readonly driver?: DriverLimits;
  readonly housekeeper?: Partial<HousekeeperLimits>;
  readonly window?: EventWindowLimits;
  readonly segmentBytes?: number;
}

/**
 * Opens, or creates, the store in a directory: takes its lock, loads the state, and replays what
 * the log has behind it.
 *
 * @throws Error when the directory is in use, LogDamagedError when the log does not verify
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { directory, disk } = options;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  let storage: StateStorage | undefined;
  try {
    storage = options.storage ?? openState(options);
    return await assemble(options, storage, lock);
  } catch (error) {
    await storage?.close();
    await lock.release();
    throw error;
  }
}

function openState({ directory, clock }: OpenStoreOptions): StateStorage {
  return new SqliteState({
    path: `${directory}/${STATE_FILE}`,
    whenIdle: (callback) => clock.after(WORKER_IDLE_MS, callback),
  });
}

async function assemble(
  options: OpenStoreOptions,
  storage: StateStorage,
  lock: Awaited<ReturnType<Disk["lock"]>>,
): Promise<Store> {
  const { directory, disk, clock, random, logger, limits = {} } = options;
  const machine = new StateMachine({ db: storage.db, window: limits.window });
  const opened = await SegmentedLog.open({
    disk,
    directory: `${directory}/${LOG_DIRECTORY}`,
    random,
    appliedIndex: machine.appliedIndex as LogIndex,
    segmentBytes: limits.segmentBytes,
  });
  const { log } = opened;
  for (const entry of opened.entries) machine.apply(entry);
  if (opened.entries.length > 0) logger.info("log replayed", { entries: opened.entries.length });
  const term = Math.max(1, opened.lastTerm, machine.appliedTerm) as Term;
  const core = createSoloCore({ lastIndex: opened.lastIndex, term });
  const hub = new WatchHub(machine, clock);
  const driver = new Driver({
    core,
    log,
    machine,
    logger,
    limits: limits.driver,
    onApplied: () => {
      hub.dispatch();
      housekeeper.afterApply();
    },
    onFatal: (error) => options.onFatal?.(error),
  });
  const housekeeper = new Housekeeper({
    storage,
    machine,
    log,
    driver,
    clock,
    logger,
    limits: limits.housekeeper,
  });
  if (machine.featureLevel < FEATURE_LEVEL) {
    await driver.propose({ type: "feature-level", level: FEATURE_LEVEL });
  }
  return new RaftStore({ machine, storage, log, driver, hub, housekeeper, lock, clock });
}
