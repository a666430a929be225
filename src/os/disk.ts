import Database from "better-sqlite3";
import * as fs from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
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
  const handle = await open(directory, fs.constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function openFile(path: string): Promise<DiskFile> {
  // With O_DSYNC one system call writes and waits for the medium: a third less than two.
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_DSYNC;
  const descriptor = await called<number>((done) => fs.open(path, flags, PRIVATE_FILE, done));
  return new RealFile(descriptor);
}

/** A bare descriptor: a promise less on the way of every write than a FileHandle. */
class RealFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async size(): Promise<number> {
    const stats = await called<fs.Stats>((done) => fs.fstat(this.#descriptor, done));
    return stats.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = await called<number>((done) =>
        fs.read(this.#descriptor, bytes, filled, length - filled, offset + filled, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      written += await called<number>((done) =>
        fs.write(this.#descriptor, bytes, written, left, offset + written, done),
      );
    }
  }

  async cutDurably(size: number): Promise<void> {
    await called((done) => fs.ftruncate(this.#descriptor, size, done));
    await called((done) => fs.fsync(this.#descriptor, done));
  }

  datasync(): Promise<void> {
    return called((done) => fs.fdatasync(this.#descriptor, done));
  }

  close(): Promise<void> {
    return called((done) => fs.close(this.#descriptor, done));
  }
}

/** The first result of a function that calls back in Node's way. */
function called<Result>(
  call: (done: (error: Error | null | undefined, result?: Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result as Result)));
  });
}

/**
 * An exclusive SQLite transaction on an empty file: a record lock of the kernel, which ends with
 * the process, is not inherited by children, and holds against a second opener in this process too.
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
