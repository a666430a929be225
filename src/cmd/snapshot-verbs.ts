import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { CommandError, UsageError } from "../cli/index.ts";
import type { ClusterOption, DataDirOption } from "../cli/index.ts";
import { apiErrorFrom } from "../client/index.ts";
import { createDisk, createLogger, systemClock, systemRandom } from "../os/index.ts";
import { createDataDirectory, locateDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { connectAsAdmin } from "./join-connection.ts";
import type { AdminConnection } from "./join-connection.ts";
import type { GroupVerbOptions } from "./join-verbs.ts";
import { imagesPathOf, restoreImages, saveImages } from "./snapshot-images.ts";
import { keysFileOf, restoreKeys, saveKeys } from "./snapshot-keys.ts";
import { CLUSTER_PATH } from "./join-wire.ts";
import { findRunningServer } from "./running-cluster.ts";
import { SNAPSHOT_BYTES_HEADER } from "./snapshot-stream.ts";

const PRIVATE_MODE = 0o600;
const STATE_FILE = "state.db";

/** `kubun snapshot save FILE`: of the running cluster, or of a data directory at rest. */
export async function saveSnapshot(
  file: string,
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const path = resolve(file);
  for (const taken of [path, imagesPathOf(path)]) {
    if (existsSync(taken)) throw new UsageError(`${taken} exists: give the name of a new file`);
  }
  const directory = locateDataDirectory(options.dataDir);
  const offline = options.kubeconfig === undefined && findRunningServer(directory) === undefined;
  // Whole or not there: a snapshot that was cut off must not look like one.
  const partial = `${path}.partial`;
  try {
    if (offline) await saveOffline(partial, directory);
    else await saveOnline(partial, connectAsAdmin(options));
    // After the state: an image that the state names was pushed before.
    await saveImages(path, offline ? directory : connectAsAdmin(options));
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  const keys = options.kubeconfig === undefined && saveKeys(path, directory);
  write(
    `saved ${path}; its Secrets are encrypted, and read with ` +
      (keys
        ? `${keysFileOf(path)}: keep the two apart, and that one as safe as the Secrets\n`
        : "the keys of a server: keep a copy of its tls/ca.key and tls/ca.crt\n") +
      `its images are in ${imagesPathOf(path)}\n`,
  );
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
  if (!existsSync(join(directory.store, STATE_FILE))) {
    throw new CommandError(
      `no server runs in ${directory.path}, and it holds no state: give the --data-dir of a ` +
        "server, or --kubeconfig",
    );
  }
  const { IdentityError, openStore } = await import("../store/index.ts");
  try {
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
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    // One of several: what it has applied was committed, and more cannot be known without them.
    await copyState(path, directory);
  }
}

async function copyState(path: string, directory: DataDirectory): Promise<void> {
  const { SqliteState } = await import("../mvcc/index.ts");
  const lock = await createDisk().lock(directory.store);
  try {
    const state = new SqliteState({
      path: join(directory.store, STATE_FILE),
      whenIdle: (callback) => systemClock.after(0, callback),
    });
    try {
      await state.snapshot(path);
    } finally {
      await state.close();
    }
  } finally {
    await lock.release();
  }
}

/** `kubun snapshot restore FILE`: into a directory without a state. Keys that are there stay. */
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
  restoreKeys(snapshot, directory);
  const { restoreSnapshot } = await import("../store/index.ts");
  const { revision } = await restored(() =>
    restoreSnapshot({ snapshot, directory: directory.store, disk: createDisk() }),
  );
  await restoreImages(snapshot, directory);
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
