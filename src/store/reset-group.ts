import type { Clock, Logger, Random } from "../lib/index.ts";
import { restoreState, SqliteState, StateMachine } from "../mvcc/index.ts";
import type { Revision } from "../mvcc/index.ts";
import type { LogIndex, MemberId, Term } from "../raft/index.ts";
import type { Disk } from "./disk.ts";
import { readDurableFile, removeDurableFile, writeDurableFile } from "./durable-file.ts";
import { SegmentedLog } from "./log/segmented-log.ts";
import {
  IDENTITY_FILE,
  IdentityError,
  newClusterId,
  newMemberId,
  readMemberIdentity,
  writeMemberIdentity,
} from "./member-identity.ts";
import { LOG_DIRECTORY, STATE_FILE } from "./open-store.ts";
import { RESET_FILE } from "./reset-file.ts";
import { INCOMING_DIRECTORY, OUTGOING_DIRECTORY } from "./snapshot-exchange.ts";

/** What the survivor has, as a snapshot, until it is the state of the new group. */
const RESET_SNAPSHOT = "reset.db";
/** Bytes of entries read at once. */
const READ_BYTES = 4 * 1024 * 1024;

export interface ResetGroupOptions {
  /** Of a member that survived; no store has it open. */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ResetOutcome {
  /** New ones: nobody of the old group can take part in this one. */
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly revision: Revision;
}

interface ResetNote {
  readonly memberId: MemberId;
  readonly clusterId: string;
}

/**
 * Makes a survivor the only member of a new group, when the others are lost for good. It keeps all
 * that its log has, also what it does not know to be committed. Revisions go on far behind: what
 * the lost members had acknowledged beyond it may have been seen. Interrupted, it is run again; the
 * store does not open in between. The other members' directories cannot be used any more.
 *
 * @throws IdentityError when the directory is of no member; Error when it is in use or damaged
 */
export async function resetGroup(options: ResetGroupOptions): Promise<ResetOutcome> {
  const { directory, disk, random, logger } = options;
  const lock = await disk.lock(directory);
  try {
    let note = await readNote(options);
    if (note === undefined) {
      if ((await readMemberIdentity(options)) === undefined) {
        throw new IdentityError(`${directory} is not of a member of a cluster: nothing to reset`);
      }
      note = { memberId: newMemberId(random), clusterId: newClusterId(random) };
      await writeDurableFile(disk, directory, RESET_FILE, JSON.stringify(note));
    }
    const snapshot = `${directory}/${RESET_SNAPSHOT}`;
    if (!(await disk.list(directory)).includes(RESET_SNAPSHOT)) await keep(options, snapshot);
    await removeOld(disk, directory);
    const { revision } = restoreState(snapshot, `${directory}/${STATE_FILE}`);
    await disk.syncDirectory(directory);
    await writeMemberIdentity(options, { ...note, founder: true, phase: "new" });
    await removeDurableFile(disk, directory, RESET_FILE);
    await disk.remove(snapshot);
    logger.warn("the group was reset to this member alone", { ...note, revision });
    return { ...note, revision };
  } finally {
    await lock.release();
  }
}

async function readNote({ disk, directory }: ResetGroupOptions): Promise<ResetNote | undefined> {
  const text = await readDurableFile(disk, directory, RESET_FILE);
  return text === undefined ? undefined : (JSON.parse(text) as ResetNote);
}

/** Writes the state with all of the log applied to a file of its own. */
async function keep(options: ResetGroupOptions, snapshot: string): Promise<void> {
  const { directory, disk, clock, random } = options;
  const storage = new SqliteState({
    path: `${directory}/${STATE_FILE}`,
    whenIdle: (callback) => clock.after(0, callback),
  });
  try {
    const machine = new StateMachine({ db: storage.db });
    const makeStateDurable = async (): Promise<void> => {
      await storage.checkpoint((work) => work());
    };
    const { log } = await SegmentedLog.open({
      disk,
      directory: `${directory}/${LOG_DIRECTORY}`,
      random,
      applied: { index: machine.appliedIndex as LogIndex, term: machine.appliedTerm as Term },
      installed: machine.installedIndex > 0 && machine.installedIndex === machine.appliedIndex,
      repair: { type: "refetch", makeStateDurable },
    });
    try {
      await applyAll(machine, log);
    } finally {
      await log.close();
    }
    machine.flush();
    await storage.snapshot(snapshot);
  } finally {
    await storage.close();
  }
}

async function applyAll(machine: StateMachine, log: SegmentedLog): Promise<void> {
  while (machine.appliedIndex < log.lastIndex) {
    const entries = await log.read((machine.appliedIndex + 1) as LogIndex, READ_BYTES);
    if (entries === "compacted") throw new Error("the log begins behind what is applied");
    for (const { index, term, type, data } of entries) {
      // Who was a member does not matter any more.
      machine.apply({ index, term, data: type === "config" ? new Uint8Array() : data });
    }
  }
}

async function removeOld(disk: Disk, directory: string): Promise<void> {
  for (const inside of [LOG_DIRECTORY, OUTGOING_DIRECTORY, INCOMING_DIRECTORY]) {
    const path = `${directory}/${inside}`;
    for (const name of await disk.list(path)) await disk.remove(`${path}/${name}`);
    if ((await disk.list(directory)).includes(inside)) await disk.syncDirectory(path);
  }
  for (const name of await disk.list(directory)) {
    const old = name === IDENTITY_FILE || name.startsWith(STATE_FILE);
    if (old) await disk.remove(`${directory}/${name}`);
  }
  await disk.syncDirectory(directory);
}
