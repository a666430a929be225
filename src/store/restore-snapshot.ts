import { restoreState } from "../mvcc/index.ts";
import type { Revision } from "../mvcc/index.ts";
import type { Disk } from "./disk.ts";
import { readMemberIdentity } from "./member-identity.ts";
import { LOG_DIRECTORY, STATE_FILE } from "./open-store.ts";

export interface RestoreSnapshotOptions {
  /** What {@link Store.snapshot} wrote. */
  readonly snapshot: string;
  /** Must hold neither a state nor a log nor a member's identity. */
  readonly directory: string;
  readonly disk: Disk;
}

/**
 * Makes a data directory from a snapshot; the log begins behind it. Blocks while it copies. Of a
 * group one server is restored, whose store then founds a new group ("bootstrap"); the others empty
 * their directories and join it.
 *
 * @throws Error when the directory is in use or not empty, or the snapshot does not verify
 */
export async function restoreSnapshot(
  options: RestoreSnapshotOptions,
): Promise<{ readonly revision: Revision }> {
  const { snapshot, directory, disk } = options;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    const log = await disk.list(`${directory}/${LOG_DIRECTORY}`);
    if (log.length > 0) throw new Error(`${directory} has a log: restore into an empty directory`);
    if ((await readMemberIdentity(options)) !== undefined) {
      throw new Error(`${directory} is of a member of a cluster: restore into an empty directory`);
    }
    const restored = restoreState(snapshot, `${directory}/${STATE_FILE}`);
    await disk.syncDirectory(directory);
    return restored;
  } finally {
    await lock.release();
  }
}
