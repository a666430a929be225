import { randomInteger } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { createRaft } from "../raft/index.ts";
import type { LogEntry, LogIndex, RaftCore } from "../raft/index.ts";
import { claimIdentity, confirmIdentity, hasLog } from "./claim-identity.ts";
import type { Disk, DirectoryLock } from "./disk.ts";
import { Driver } from "./driver.ts";
import type { GroupOptions } from "./group-options.ts";
import { SegmentedLog } from "./log/segmented-log.ts";
import type { OpenedLog } from "./log/segmented-log.ts";
import { writeMemberIdentity } from "./member-identity.ts";
import type { MemberIdentity } from "./member-identity.ts";
import { LOG_DIRECTORY } from "./open-store.ts";
import type { StoreLimits } from "./open-store.ts";
import { INCOMING_DIRECTORY, SnapshotRoom } from "./snapshot-exchange.ts";
import { startTransport } from "./start-transport.ts";
import type { Leadership, Member, StoreMode } from "./store.ts";
import { CORE_LIMITS, entriesForCore, hardStateFor } from "./core-start.ts";
import { WITNESS_FILE, WitnessState } from "./witness-state.ts";

/** What every data member has is given up when it has grown by so much. */
const DROP_ENTRIES = 4_096;
const DROP_BYTES = 16 * 1024 * 1024;

export interface OpenWitnessOptions {
  /** Holds the identity and the log; created when missing, refused when in use. */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal?: (error: Error) => void;
  readonly limits?: Pick<StoreLimits, "segmentBytes" | "growthBytes" | "raft">;
  /** A witness joins or restarts; it cannot found a group. */
  readonly group: GroupOptions;
}

/**
 * A member that votes and keeps the log for the others, and has no state: two servers and a small
 * third machine survive the loss of any one of them.
 */
export interface Witness {
  readonly mode: StoreMode;
  readonly leadership: Leadership;
  /** Entries that some data member may still lack. */
  readonly keptEntries: number;
  members(): readonly Member[];
  close(): Promise<void>;
}

/** @throws as {@link openStore} */
export async function openWitness(options: OpenWitnessOptions): Promise<Witness> {
  const { directory, disk, group } = options;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    const names = await disk.list(directory);
    const identity = await claimIdentity({
      disk,
      directory,
      random: options.random,
      group,
      hasLog: await hasLog(disk, `${directory}/${LOG_DIRECTORY}`),
      hasState: names.includes(WITNESS_FILE),
    });
    return await assemble(options, identity, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function assemble(
  options: OpenWitnessOptions,
  identity: MemberIdentity,
  lock: DirectoryLock,
): Promise<Witness> {
  const { directory, disk, random, logger, group, limits = {} } = options;
  const state = await WitnessState.open({ disk, directory });
  const log = await SegmentedLog.open({
    disk,
    directory: `${directory}/${LOG_DIRECTORY}`,
    random,
    applied: { index: state.appliedIndex, term: state.appliedTerm },
    installed: state.installed,
    repair: { type: "refetch", makeStateDurable: () => state.save() },
    segmentBytes: limits.segmentBytes,
    growthBytes: limits.growthBytes,
  });
  await confirmIdentity(options, identity);
  const core = await createCore(options, { identity, state, log });
  const snapshots = new SnapshotRoom({
    ...options,
    transport: group.transport,
    base: () => log.log.base.index,
    take: undefined,
    installState: async (path, point) => {
      await state.install(path, point);
      await log.log.reset({ index: point.index, term: point.term });
      return state.group;
    },
  });
  const driver = new Driver({
    ...options,
    core,
    log: log.log,
    applier: state,
    group: state.group,
    limits: undefined,
    transport: group.transport,
    snapshots,
    onApplied: (entry) => dropper.applied(entry),
    onGroup: () => undefined,
    onTick: () => undefined,
    onFatal: (error) => {
      void group.transport.close();
      options.onFatal?.(error);
    },
    onRemoved: () => void leave(options, identity),
  });
  snapshots.drive(driver);
  const dropper = new WitnessDropper({ log: log.log, state, driver, held: () => core.held });
  await snapshots.open();
  const snapshotDirectory = `${directory}/${INCOMING_DIRECTORY}`;
  await startTransport({ group, driver, snapshots, snapshotDirectory, logger });
  await driver.start();
  return witnessOver({ driver, core, log: log.log, snapshots, group, dropper, lock });
}

function witnessOver(parts: {
  readonly driver: Driver;
  readonly core: RaftCore;
  readonly log: SegmentedLog;
  readonly snapshots: SnapshotRoom;
  readonly group: GroupOptions;
  readonly dropper: WitnessDropper;
  readonly lock: DirectoryLock;
}): Witness {
  const { driver, core, log, snapshots, group, dropper, lock } = parts;
  return {
    get mode() {
      return driver.mode;
    },
    get leadership() {
      return driver.leadership.now;
    },
    get keptEntries() {
      return log.lastIndex - Math.max(log.base.index, core.held);
    },
    members: () => driver.group.members,
    close: async () => {
      await snapshots.close();
      await driver.close();
      await group.transport.close();
      await dropper.idle();
      await log.close();
      await lock.release();
    },
  };
}

async function createCore(
  options: OpenWitnessOptions,
  parts: {
    readonly identity: MemberIdentity;
    readonly state: WitnessState;
    readonly log: OpenedLog;
  },
): Promise<RaftCore> {
  const { random, limits = {} } = options;
  const { identity, state, log } = parts;
  return createRaft({
    id: identity.memberId,
    hardState: hardStateFor(log, { index: state.appliedIndex, term: state.appliedTerm }),
    configuration: state.group.configuration,
    appliedIndex: state.appliedIndex,
    compactedIndex: log.base.index,
    compactedTerm: log.base.term,
    entries: await entriesForCore(log, state.appliedIndex),
    termAt: (index) => log.log.termAt(index),
    ...(log.recoverTo === undefined ? {} : { recoverTo: log.recoverTo }),
    draw: (below) => randomInteger(random, below),
    limits: { ...CORE_LIMITS, ...limits.raft },
  });
}

async function leave(options: OpenWitnessOptions, identity: MemberIdentity): Promise<void> {
  try {
    await writeMemberIdentity(options, { ...identity, phase: "removed" });
  } catch (error) {
    options.logger.error("the removal could not be written down", { error: String(error) });
  }
  options.group.onRemoved?.();
}

/** Gives up what every data member has, in large steps: a witness's disk is small and slow. */
class WitnessDropper {
  readonly #options: {
    readonly log: SegmentedLog;
    readonly state: WitnessState;
    readonly driver: Driver;
    readonly held: () => LogIndex;
  };
  #bytes = 0;
  #work: Promise<void> | undefined;

  constructor(options: {
    readonly log: SegmentedLog;
    readonly state: WitnessState;
    readonly driver: Driver;
    readonly held: () => LogIndex;
  }) {
    this.#options = options;
  }

  applied(entry: LogEntry): void {
    this.#bytes += entry.data.length;
    const { log, held } = this.#options;
    const droppable = Math.min(held(), entry.index) - log.base.index;
    const due = droppable >= DROP_ENTRIES || (this.#bytes >= DROP_BYTES && droppable > 0);
    if (due) this.#work ??= this.#drop();
  }

  async idle(): Promise<void> {
    await this.#work;
  }

  async #drop(): Promise<void> {
    const { log, state, driver, held } = this.#options;
    try {
      this.#bytes = 0;
      const upTo = Math.min(held(), state.appliedIndex) as LogIndex;
      const before = log.base.index;
      await state.save();
      await log.dropThrough(upTo);
      if (log.base.index > before) driver.compacted(log.base);
    } catch (error) {
      driver.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#work = undefined;
    }
  }
}
