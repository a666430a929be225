import type { Clock, Logger, Random } from "../lib/index.ts";
import type { Disk } from "./disk.ts";
import type { Store } from "./store.ts";

export interface OpenStoreOptions {
  /** Holds the log and the state; created when missing, refused when in use. */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told once when the store can write no more (sync error, full disk): reads go on. */
  readonly onFatal?: (error: Error) => void;
}

/** Opens, or creates, the store in a directory. */
export function openStore(_options: OpenStoreOptions): Promise<Store> {
  return Promise.reject(new Error("the store is not built yet"));
}
