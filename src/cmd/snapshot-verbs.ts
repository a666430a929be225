import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { CommandError, UsageError } from "../cli/index.ts";
import type { ClusterOption, DataDirOption } from "../cli/index.ts";
import { apiErrorFrom } from "../client/index.ts";
import { createDisk } from "../os/index.ts";
import { createDataDirectory, locateDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { connectAsAdmin } from "./join-connection.ts";
import type { AdminConnection } from "./join-connection.ts";
import type { GroupVerbOptions } from "./join-verbs.ts";
import { CLUSTER_PATH } from "./join-wire.ts";
import { findRunningServer } from "./running-cluster.ts";
import { SNAPSHOT_BYTES_HEADER } from "./snapshot-stream.ts";

const PRIVATE_MODE = 0o600;

/** `kubun snapshot save FILE`: of the running cluster, or of a data directory at rest. */
export async function saveSnapshot(
  file: string,
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const path = resolve(file);
  if (existsSync(path)) {
    throw new UsageError(`${path} exists: give the name of a new file`);
  }
  const directory = locateDataDirectory(options.dataDir);
  const offline = options.kubeconfig === undefined && findRunningServer(directory) === undefined;
  // Whole or not there: a snapshot that was cut off must not look like one.
  const partial = `${path}.partial`;
  try {
    if (offline) await saveOffline(partial, directory);
    else await saveOnline(partial, connectAsAdmin(options));
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  write(`saved ${path} (it holds every Secret of the cluster: keep it as safe as those)\n`);
}

async function saveOnline(path: string, connection: AdminConnection): Promise<void> {
  const response = await connection.client.raw(`${CLUSTER_PATH}/snapshot`);
  if (!response.ok) throw await apiErrorFrom(response);
  const expected = Number(response.headers.get(SNAPSHOT_BYTES_HEADER) ?? Number.NaN);
  let received = 0;
  const descriptor = openSync(path, "wx", PRIVATE_MODE);
  try {
    for await (const part of response.body ?? []) received += writeSync(descriptor, part);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (received === expected) return;
  throw new CommandError(
    `${connection.server} sent ${received} of ${expected} bytes: the snapshot was not kept`,
  );
}

async function saveOffline(path: string, directory: DataDirectory): Promise<void> {
  const { STATE_FILE } = STORE_FILES;
  if (!existsSync(`${directory.store}/${STATE_FILE}`)) {
    throw new CommandError(
      `no server runs in ${directory.path}, and it holds no state: give the --data-dir of a ` +
        "server, or --kubeconfig",
    );
  }
  const { openStore } = await import("../store/index.ts");
  const { createLogger, systemClock, systemRandom } = await import("../os/index.ts");
  const store = await openStore({
    directory: directory.store,
    disk: createDisk(),
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ level: "warn" }),
  });
  try {
    await store.snapshot(path);
  } finally {
    await store.close();
  }
}

const STORE_FILES = { STATE_FILE: "state.db" } as const;

/** `kubun snapshot restore FILE`: into a directory without a state; keys that are there stay. */
export async function restoreFromSnapshot(
  file: string,
  options: DataDirOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const snapshot = resolve(file);
  if (!existsSync(snapshot)) throw new UsageError(`there is no file ${snapshot}`);
  const present = locateDataDirectory(options.dataDir);
  if (findRunningServer(present) !== undefined) {
    throw new CommandError(`a server runs in ${present.path}: stop it first`);
  }
  const directory = createDataDirectory(options.dataDir);
  const { restoreSnapshot } = await import("../store/index.ts");
  const { revision } = await restored(() =>
    restoreSnapshot({ snapshot, directory: directory.store, disk: createDisk() }),
  );
  write(
    `restored ${directory.path} to revision ${revision}; start it with: ` +
      `kubun server --data-dir ${directory.path}\n`,
  );
}

/** Everything that refuses here is for the user: a full directory, a file that is no snapshot. */
async function restored<T>(restore: () => Promise<T>): Promise<T> {
  try {
    return await restore();
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}
