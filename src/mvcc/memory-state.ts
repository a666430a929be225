import { openDatabase } from "./database.ts";
import type { SqliteConnection } from "./database.ts";
import type { CheckpointOutcome, StateStorage } from "./state-storage.ts";

const PAGE_BYTES = 4_096;

/**
 * The state in memory, for tests and the simulation. A power cut leaves what the last checkpoint
 * made durable (SQLite never leaves less, and the log replays the rest): `image()`.
 */
export class MemoryState implements StateStorage {
  readonly db: SqliteConnection;
  #image: Buffer | undefined;
  #checkpoints = 0;
  #checkpointed = 0;

  constructor(image?: Buffer) {
    this.#image = image;
    this.db = openDatabase(image ?? ":memory:");
  }

  /** What a power cut leaves now; undefined before the first checkpoint. */
  image(): Buffer | undefined {
    return this.#image;
  }

  get checkpoints(): number {
    return this.#checkpoints;
  }

  /** A page for every row that was written since the last checkpoint. */
  uncheckpointedBytes(): number {
    return (this.#changes() - this.#checkpointed) * PAGE_BYTES;
  }

  checkpoint(): Promise<CheckpointOutcome> {
    this.#image = this.db.serialize();
    this.#checkpointed = this.#changes();
    this.#checkpoints += 1;
    return Promise.resolve("complete");
  }

  snapshot(): Promise<void> {
    return Promise.reject(new Error("a state in memory has no files to copy to"));
  }

  close(): Promise<void> {
    this.db.close();
    return Promise.resolve();
  }

  #changes(): number {
    const row = this.db.prepare("SELECT total_changes() AS changes").get() as { changes: number };
    return row.changes;
  }
}
