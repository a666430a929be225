import { ManualClock, SeededRandom, silentLogger } from "../../lib/index.ts";
import { MemoryState } from "../../mvcc/index.ts";
import { openStore } from "../open-store.ts";
import type { StoreLimits } from "../open-store.ts";
import type { Store } from "../store.ts";
import { diskFiles } from "./disk-files.ts";
import { FaultyDisk } from "./faulty-disk.ts";

export interface TestStore {
  readonly store: Store;
  readonly disk: FaultyDisk;
  readonly clock: ManualClock;
  readonly storage: MemoryState;
  readonly fatal: Error[];
}

export interface TestStoreOptions {
  readonly seed?: number;
  readonly disk?: FaultyDisk;
  readonly image?: Buffer | undefined;
  readonly limits?: StoreLimits;
}

/** A store in memory: its disk, clock and randomness are the test's. */
export async function openTestStore(options: TestStoreOptions = {}): Promise<TestStore> {
  const random = new SeededRandom(options.seed ?? 1);
  const disk = options.disk ?? new FaultyDisk(random);
  const clock = new ManualClock();
  const storage = new MemoryState(options.image, diskFiles(disk));
  const fatal: Error[] = [];
  const store = await openStore({
    directory: "/data",
    disk,
    clock,
    random,
    logger: silentLogger,
    onFatal: (error) => fatal.push(error),
    storage,
    limits: options.limits ?? {},
  });
  return { store, disk, clock, storage, fatal };
}
