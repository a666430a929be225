import { randomInteger } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { SqliteState } from "../mvcc/index.ts";
import type { EventWindowLimits, PendingLimits, StateStorage } from "../mvcc/index.ts";
import { createRaft } from "../raft/index.ts";
import type { LogEntry, LogIndex, RaftCore, RaftLimits, Term } from "../raft/index.ts";
import { claimIdentity, confirmIdentity, hasLog } from "./claim-identity.ts";
import type { Disk, DirectoryLock } from "./disk.ts";
import { Driver } from "./driver.ts";
import { Founding } from "./founding.ts";
import { GroupMembership } from "./group-membership.ts";
import type { GroupOptions } from "./group-options.ts";
import { EMPTY_GROUP, groupOf, isAlone } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";
import { Housekeeper } from "./housekeeper.ts";
import type { HousekeeperLimits } from "./housekeeper.ts";
import type { OpenedLogState } from "./log/log-types.ts";
import { SegmentedLog } from "./log/segmented-log.ts";
import { IdentityError, writeMemberIdentity } from "./member-identity.ts";
import type { MemberIdentity } from "./member-identity.ts";
import type { DriverLimits } from "./proposals.ts";
import { RaftStore } from "./raft-store.ts";
import { RESET_FILE } from "./reset-file.ts";
import { INCOMING_DIRECTORY, SnapshotRoom } from "./snapshot-exchange.ts";
import { StoreState } from "./store-state.ts";
import type { Member, Store } from "./store.ts";
import { startTransport } from "./start-transport.ts";
import { CORE_LIMITS, entriesForCore, hardStateFor } from "./core-start.ts";
import { WatchHub } from "./watch-hub.ts";

export const STATE_FILE = "state.db";
export const LOG_DIRECTORY = "log";
/** A worker thread without work ends after this. */
const WORKER_IDLE_MS = 10_000;

export interface OpenStoreOptions {
  /** Holds the identity, the log and the state; created when missing, refused when in use. */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told once when the store can write no more (a failed sync): reads go on. */
  readonly onFatal?: (error: Error) => void;
  /** Where the state lives; by default `state.db` in the directory. */
  readonly storage?: StateStorage;
  readonly limits?: StoreLimits;
  /**
   * The group that the store is a member of. Without it the store stands alone; it still has an
   * identity, so that the same directory can later be opened with a group and take others in.
   */
  readonly group?: GroupOptions;
}

/** Every bound of the store; what is absent has its named default. */
export interface StoreLimits {
  readonly driver?: DriverLimits;
  readonly housekeeper?: Partial<HousekeeperLimits>;
  readonly window?: EventWindowLimits;
  readonly pending?: PendingLimits;
  readonly segmentBytes?: number;
  readonly growthBytes?: number;
  readonly raft?: Partial<RaftLimits>;
}

/**
 * Opens, or creates, the store in a directory: takes its lock, finds its identity, loads the state,
 * and takes part in its group. A member that is alone leads, and has replayed its log, when this
 * resolves; one of several answers reads and writes as soon as there is a leader.
 *
 * @throws Error when the directory is in use, IdentityError when it must not take part,
 * LogDamagedError when the log does not verify and nobody has what it lost
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { directory, disk } = options;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  let storage: StateStorage | undefined;
  try {
    const names = await disk.list(directory);
    if (names.includes(RESET_FILE)) {
      throw new IdentityError(`the reset of ${directory} was interrupted: run it again`);
    }
    // Before the state's file is made: found without an identity, it would be somebody else's.
    const identity = await claimIdentity({
      ...options,
      group: options.group,
      hasLog: await hasLog(disk, `${directory}/${LOG_DIRECTORY}`),
      hasState: names.includes(STATE_FILE),
    });
    storage = options.storage ?? openState(options);
    return await assemble(options, { storage, lock, identity });
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

interface Ground {
  readonly storage: StateStorage;
  readonly lock: DirectoryLock;
  readonly identity: MemberIdentity;
}

async function assemble(options: OpenStoreOptions, ground: Ground): Promise<Store> {
  const { directory, clock, logger, limits = {} } = options;
  const { storage, lock, identity } = ground;
  const { clusterId } = identity;
  const self = selfOf(options.group, identity);
  const { window, pending } = limits;
  const state = new StoreState({ storage, clusterId, window, pending });
  const group = state.group ?? (identity.founder ? groupOf(self) : EMPTY_GROUP);
  checkPeers(options, group, self);
  const { log, opened, entries } = await openLog(
    options,
    state,
    isAlone(group.configuration, self.id),
  );
  await confirmIdentity(options, identity);
  const core = createCore({ options, self, state, group, log, opened, entries });
  const transport = options.group?.transport;
  const hub = new WatchHub(state, clock);
  const snapshots: SnapshotRoom = new SnapshotRoom({
    ...options,
    transport,
    base: () => log.base.index,
    take: (path) => state.snapshot(path, (work) => driver.exclusive(work)),
    installState: (path) => housekeeper.aside(() => install(path)),
  });
  const install = async (path: string): Promise<GroupRecord> => {
    await state.install(path);
    const { appliedIndex, appliedTerm } = state;
    await log.reset({ index: appliedIndex as LogIndex, term: appliedTerm as Term });
    hub.replaced();
    store.applied();
    return state.group ?? EMPTY_GROUP;
  };
  const driver: Driver = new Driver({
    ...options,
    core,
    log,
    applier: state,
    group,
    limits: limits.driver,
    transport,
    snapshots,
    onApplied: (entry) => {
      hub.dispatch();
      housekeeper.applied(entry);
      store.applied();
    },
    onGroup: () => membership.changed(),
    onTick: () => membership.onTick(),
    onFatal: (error) => stop(options, error),
    onRemoved: () => void leave(options, identity),
  });
  snapshots.drive(driver);
  const neededFrom = (): LogIndex | undefined => snapshots.neededFrom();
  const kept = { state, log, driver, clock, logger, neededFrom };
  const housekeeper: Housekeeper = new Housekeeper({ ...kept, limits: limits.housekeeper });
  const membership = new GroupMembership({ driver, self, clusterId, clock, logger });
  const founding = new Founding({ driver, membership, state, self, logger });
  const parts = { state, log, driver, membership, snapshots, transport, hub, lock, clock };
  const store = new RaftStore({ ...parts, housekeeper });
  await snapshots.open();
  const snapshotDirectory = `${directory}/${INCOMING_DIRECTORY}`;
  await startTransport({ group: options.group, driver, snapshots, snapshotDirectory, logger });
  await driver.start();
  await founding.begin();
  return store;
}

/** Without a group the store is nobody's peer: it has no name and no address. */
function selfOf(group: GroupOptions | undefined, identity: MemberIdentity): Member {
  const id = identity.memberId;
  if (group !== undefined) return { ...group.self, id };
  return { id, name: "", role: "voter", peerAddress: "", apiAddress: "" };
}

function checkPeers(options: OpenStoreOptions, group: GroupRecord, self: Member): void {
  if (options.group !== undefined || isAlone(group.configuration, self.id)) return;
  throw new IdentityError(
    `${options.directory} belongs to a member of a group of ${group.members.length}: ` +
      "it cannot be opened alone",
  );
}

async function openLog(options: OpenStoreOptions, state: StoreState, alone: boolean) {
  const { directory, disk, random, logger, limits = {} } = options;
  const { machine, storage } = state;
  const applied = { index: state.appliedIndex as LogIndex, term: state.appliedTerm as Term };
  const makeStateDurable = async (): Promise<void> => {
    const outcome = await storage.checkpoint((work) => work());
    if (outcome !== "complete") throw new Error(`the state could not be made durable: ${outcome}`);
  };
  const opened = await SegmentedLog.open({
    disk,
    directory: `${directory}/${LOG_DIRECTORY}`,
    random,
    applied,
    installed: machine.installedIndex > 0 && machine.installedIndex === machine.appliedIndex,
    repair: alone ? { type: "refuse" } : { type: "refetch", makeStateDurable },
    segmentBytes: limits.segmentBytes,
    growthBytes: limits.growthBytes,
  });
  if (opened.recoverTo !== undefined) {
    logger.warn("the log was damaged: this member counts again when its peers have restored it", {
      upTo: opened.recoverTo,
    });
  }
  const entries = await entriesForCore(opened, state.appliedIndex);
  return { log: opened.log, opened, entries };
}

function createCore(parts: {
  readonly options: OpenStoreOptions;
  readonly self: Member;
  readonly state: StoreState;
  readonly group: GroupRecord;
  readonly log: SegmentedLog;
  readonly opened: OpenedLogState;
  readonly entries: readonly LogEntry[];
}): RaftCore {
  const { options, self, state, group, log, opened, entries } = parts;
  const { random, limits = {} } = options;
  const appliedIndex = state.appliedIndex as LogIndex;
  return createRaft({
    id: self.id,
    hardState: hardStateFor(opened, { index: appliedIndex, term: state.appliedTerm as Term }),
    configuration: group.configuration,
    appliedIndex,
    compactedIndex: opened.base.index,
    compactedTerm: opened.base.term,
    entries,
    termAt: (index) => log.termAt(index),
    ...(opened.recoverTo === undefined ? {} : { recoverTo: opened.recoverTo }),
    draw: (below) => randomInteger(random, below),
    limits: { ...CORE_LIMITS, ...limits.raft },
  });
}

/** Peers that find nobody here elect another leader at once. */
function stop(options: OpenStoreOptions, error: Error): void {
  void options.group?.transport.close();
  options.onFatal?.(error);
}

/** The next start of this directory is refused: its id is used up. */
async function leave(options: OpenStoreOptions, identity: MemberIdentity): Promise<void> {
  try {
    await writeMemberIdentity(options, { ...identity, phase: "removed" });
  } catch (error) {
    options.logger.error("the removal could not be written down", { error: String(error) });
  }
  options.group?.onRemoved?.();
}
