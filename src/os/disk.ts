import Database from "better-sqlite3";
import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { DirectoryLock, Disk, DiskFile } from "../store/index.ts";

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

/** Real files. Every call waits in the runtime's thread pool, never on the event loop. */
export function createDisk(): Disk {
  return { list, makeDirectory, open: openFile, rename, remove, syncDirectory, lock };
}

async function list(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function openFile(path: string): Promise<DiskFile> {
  // With O_DSYNC one system call writes and waits for the medium: a third less than two.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;
  return new RealFile(await open(path, flags, PRIVATE_FILE));
}

class RealFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const left = length - filled;
      const { bytesRead } = await this.#handle.read(bytes, filled, left, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      const result = await this.#handle.write(bytes, written, left, offset + written);
      written += result.bytesWritten;
    }
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * An exclusive SQLite transaction on an empty file: a record lock of the kernel, which ends with the
 * process, is not inherited by children, and holds against a second opener in this process too.
 */
async function lock(directory: string): Promise<DirectoryLock> {
  const holder = join(directory, "lock.pid");
  const db = new Database(join(directory, "lock"), { timeout: 0 });
  try {
    db.pragma("journal_mode = MEMORY");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_BUSY") throw error;
    const pid = await readFile(holder, "utf8").catch(() => "unknown");
    throw new Error(`data directory ${directory} is in use by process ${pid.trim()}`, {
      cause: error,
    });
  }
  await writeFile(holder, `${process.pid}\n`, { mode: PRIVATE_FILE });
  return {
    async release() {
      await rm(holder, { force: true });
      db.close();
    },
  };
}
