import { Buffer } from "node:buffer";
import { openDatabase } from "./database.ts";
import type { SqliteConnection } from "./database.ts";
import { History } from "./history.ts";
import { checkStateFile, readStatePoint } from "./state-point.ts";
import type { CheckpointOutcome, StatePoint, StateStorage, WriteAhead } from "./state-storage.ts";

const PAGE_BYTES = 4_096;

/** Where snapshots of a state in memory go: the simulation's disk. */
export interface StateFiles {
  read(path: string): Promise<Uint8Array>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
}

/**
 * The state in memory, for tests and the simulation. A power cut leaves what the last checkpoint
 * made durable (SQLite never leaves less, and the log replays the rest): `image()`.
 */
export class MemoryState implements StateStorage {
  readonly #files: StateFiles | undefined;
  #db: SqliteConnection;
  #image: Buffer | undefined;
  #checkpoints = 0;
  #checkpointed = 0;
  /** Rows since the last checkpoint that the file has all the same. */
  #moved = 0;

  constructor(image?: Buffer, files?: StateFiles) {
    this.#image = image;
    this.#files = files;
    this.#db = openDatabase(image ?? ":memory:");
  }

  get db(): SqliteConnection {
    return this.#db;
  }

  /** What a power cut leaves now; undefined before the first checkpoint. */
  image(): Buffer | undefined {
    return this.#image;
  }

  get checkpoints(): number {
    return this.#checkpoints;
  }

  /** A page for every row that was written since the last checkpoint. */
  writeAhead(): WriteAhead {
    const bytes = (this.#changes() - this.#checkpointed) * PAGE_BYTES;
    return { bytes, unmovedBytes: bytes - this.#moved * PAGE_BYTES };
  }

  /** SQLite may leave all of it after a power cut, or nothing: here it is nothing. */
  moveWriteAhead(): Promise<CheckpointOutcome> {
    this.#moved = this.#changes() - this.#checkpointed;
    return Promise.resolve("complete");
  }

  checkpoint(): Promise<CheckpointOutcome> {
    this.#image = this.#db.serialize();
    this.#checkpointed = this.#changes();
    this.#moved = 0;
    this.#checkpoints += 1;
    return Promise.resolve("complete");
  }

  async snapshot(path: string): Promise<StatePoint> {
    const point = readStatePoint(this.#db);
    await this.#need().write(path, this.#db.serialize());
    return point;
  }

  /** In one step: the image is the new state, or still the old one. */
  async install(path: string): Promise<StatePoint> {
    const files = this.#need();
    const bytes = await files.read(path);
    const db = openDatabase(asImage(bytes));
    let point: StatePoint;
    try {
      point = checkStateFile(db);
      new History(db).markInstalled(point.appliedIndex);
    } catch (error) {
      db.close();
      throw error;
    }
    this.#db.close();
    this.#db = db;
    await this.checkpoint();
    await files.remove(path);
    return point;
  }

  close(): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }

  #need(): StateFiles {
    if (this.#files === undefined) throw new Error("this state in memory has no files to copy to");
    return this.#files;
  }

  #changes(): number {
    const row = this.#db.prepare("SELECT total_changes() AS changes").get() as { changes: number };
    return row.changes;
  }
}

function asImage(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
