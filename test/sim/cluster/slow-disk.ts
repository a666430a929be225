import type { Clock } from "../../../src/lib/index.ts";
import { sleep } from "../../../src/lib/index.ts";
import type { DirectoryLock, Disk, DiskFile } from "../../../src/store/index.ts";
import type { Faults } from "../../../src/store/testing/faulty-disk.ts";
import { FaultyDisk } from "../../../src/store/testing/faulty-disk.ts";
import type { Prng } from "../core/prng.ts";

const USUAL_WRITE_MS = 4;

/** A disk whose writes take virtual time, and that can be made slow, full or broken meanwhile. */
export class SlowDisk implements Disk {
  /** The longest a durable write takes. */
  writeMs = USUAL_WRITE_MS;
  readonly #inner: FaultyDisk;
  readonly #faults: Faults = {};
  readonly #clock: Clock;
  readonly #prng: Prng;
  /** Writes that have not reached the medium. */
  #underWay = 0;

  constructor(clock: Clock, prng: Prng, files: Map<string, Uint8Array>) {
    this.#clock = clock;
    this.#prng = prng;
    const random = { bytes: () => new Uint8Array(), float: () => prng.next() / 0x1_0000_0000 };
    this.#inner = new FaultyDisk(random, this.#faults, files);
  }

  beSlow(writeMs: number): void {
    this.writeMs = writeMs;
  }

  beQuick(): void {
    this.writeMs = USUAL_WRITE_MS;
  }

  beFull(): void {
    this.#faults.fullAtStep = this.#inner.steps + 1;
  }

  haveSpace(): void {
    delete this.#faults.fullAtStep;
  }

  /** The next change fails like a broken medium. */
  fail(): void {
    this.#faults.failAtStep = this.#inner.steps + 1;
  }

  get writing(): boolean {
    return this.#underWay > 0;
  }

  /** The machine stops within its next change of the disk: what is written then may be torn. */
  stopWithinNextChange(): void {
    this.#faults.crashAtStep = this.#inner.steps + 1;
  }

  get stopped(): boolean {
    return this.#inner.crashed;
  }

  /** What the next life finds. */
  afterCrash(kind: "kill" | "power"): Map<string, Uint8Array> {
    return this.#inner.afterCrash(kind);
  }

  list(directory: string): Promise<readonly string[]> {
    return this.#inner.list(directory);
  }

  makeDirectory(): Promise<void> {
    return this.#inner.makeDirectory();
  }

  async open(path: string): Promise<DiskFile> {
    const file = await this.#inner.open(path);
    return {
      size: () => file.size(),
      read: (offset, length) => file.read(offset, length),
      close: () => file.close(),
      writeDurably: async (offset, bytes) => {
        await this.#take();
        await file.writeDurably(offset, bytes);
      },
      cutDurably: async (size) => {
        await this.#take();
        await file.cutDurably(size);
      },
      datasync: async () => {
        await this.#take();
        await file.datasync();
      },
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inner.rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.#inner.remove(path);
  }

  async syncDirectory(): Promise<void> {
    await this.#take();
    await this.#inner.syncDirectory();
  }

  lock(directory: string): Promise<DirectoryLock> {
    return this.#inner.lock(directory);
  }

  async #take(): Promise<void> {
    this.#underWay += 1;
    await sleep(this.#clock, this.#prng.below(this.writeMs + 1));
    this.#underWay -= 1;
  }
}
