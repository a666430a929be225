import { assert, randomInteger } from "../../lib/index.ts";
import type { Random } from "../../lib/index.ts";
import type { DirectoryLock, Disk, DiskFile } from "../disk.ts";

/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

export interface Faults {
  /** The machine stops in the middle of this step (a call that changes the disk), from 1. */
  crashAtStep?: number;
  /** This step fails like a broken medium. */
  failAtStep?: number;
  /** From this step on there is no space, until `free`. */
  fullAtStep?: number;
}

/** What {@link FaultyDisk.rot} flipped. */
export interface RottenBit {
  readonly path: string;
  readonly byte: number;
}

/** How the machine stops: a killed process leaves the page cache, a power cut does not. */
export type CrashKind = "kill" | "power";

interface Content {
  /** What a reader sees. */
  bytes: Uint8Array;
  /** What a power cut leaves. */
  durable: Uint8Array;
}

/** A change of names that no syncDirectory has made durable yet. */
type NameChange =
  | { readonly type: "add"; readonly path: string; readonly content: Content }
  | { readonly type: "rename"; readonly from: string; readonly to: string }
  | { readonly type: "remove"; readonly path: string };

/**
 * A disk in memory that can stop, tear, fail, rot, be slow, and be full and have space again: all
 * of it decided by the caller and the seed. Names change durably in order (as on a journalling file
 * system), sectors of an interrupted write in any order. Without space files do not grow and no new
 * ones come, whereas what is there can be overwritten, shortened, renamed, removed and synced.
 */
export class FaultyDisk implements Disk {
  readonly #random: Random;
  readonly #faults: Faults;
  #names: Map<string, Content>;
  #durableNames: Map<string, Content>;
  #pending: NameChange[] = [];
  #locked = false;
  #steps = 0;
  #crashed = false;
  #full = false;
  #syncsFail = false;
  #delay: (() => Promise<void>) | undefined;

  constructor(random: Random, faults: Faults = {}, files = new Map<string, Uint8Array>()) {
    this.#random = random;
    this.#faults = faults;
    const contents = [...files].map(
      ([path, bytes]) => [path, { bytes, durable: bytes.slice() }] as const,
    );
    this.#names = new Map(contents);
    this.#durableNames = new Map(contents);
  }

  get steps(): number {
    return this.#steps;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** No more space, from now on. */
  fill(): void {
    this.#full = true;
  }

  free(): void {
    this.#full = false;
    delete this.#faults.fullAtStep;
  }

  /** Every durable write and sync fails from now on, its bytes being in the page cache at most. */
  failSyncs(): void {
    this.#syncsFail = true;
  }

  heal(): void {
    this.#syncsFail = false;
  }

  /** Awaited in every change of the disk, for instance a sleep; undefined for a fast disk again. */
  setDelay(delay: (() => Promise<void>) | undefined): void {
    this.#delay = delay;
  }

  /** Flips a bit at rest in one of the files that `choose` wants; undefined when all are empty. */
  rot(choose: (path: string) => boolean = () => true): RottenBit | undefined {
    const paths = [...this.#names].filter(
      ([path, content]) => choose(path) && content.bytes.length > 0,
    );
    const [path, content] = paths[randomInteger(this.#random, Math.max(1, paths.length))] ?? [];
    if (path === undefined || content === undefined) return undefined;
    const byte = randomInteger(this.#random, content.bytes.length);
    const mask = 1 << randomInteger(this.#random, 8);
    for (const bytes of [content.bytes, content.durable]) {
      if (byte < bytes.length) bytes[byte] = (bytes[byte] ?? 0) ^ mask;
    }
    return { path, byte };
  }

  /** What a reader would find now; the disk goes on. */
  files(): Map<string, Uint8Array> {
    return copyOf(this.#names, (content) => content.bytes);
  }

  /** What the machine finds when it comes back; this disk stops. */
  afterCrash(kind: CrashKind): Map<string, Uint8Array> {
    this.#crashed = true;
    if (kind === "kill") return copyOf(this.#names, (content) => content.bytes);
    const kept = this.#pending.slice(0, randomInteger(this.#random, this.#pending.length + 1));
    for (const change of kept) rename(this.#durableNames, change);
    return copyOf(this.#durableNames, (content) => content.durable);
  }

  async list(directory: string): Promise<readonly string[]> {
    await this.#alive();
    const prefix = `${directory}/`;
    const inside = [...this.#names.keys()].filter((path) => path.startsWith(prefix));
    const names = inside.map((path) => path.slice(prefix.length));
    return names.filter((name) => !name.includes("/")).sort();
  }

  async makeDirectory(): Promise<void> {
    await this.#alive();
  }

  async open(path: string): Promise<DiskFile> {
    await this.#alive();
    let content = this.#names.get(path);
    if (content === undefined) {
      await this.#step();
      if (this.#full) throw noSpace();
      content = { bytes: new Uint8Array(), durable: new Uint8Array() };
      this.#change({ type: "add", path, content });
    }
    return this.#fileOf(content);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step();
    assert(this.#names.has(from), `no file ${from} to rename`);
    this.#change({ type: "rename", from, to });
  }

  async remove(path: string): Promise<void> {
    await this.#step();
    this.#change({ type: "remove", path });
  }

  async syncDirectory(): Promise<void> {
    await this.#step();
    this.#checkSync();
    for (const change of this.#pending) rename(this.#durableNames, change);
    this.#pending = [];
  }

  async lock(directory: string): Promise<DirectoryLock> {
    await this.#alive();
    if (this.#locked) throw new Error(`data directory ${directory} is in use by this test`);
    this.#locked = true;
    return {
      release: () => {
        this.#locked = false;
        return Promise.resolve();
      },
    };
  }

  #fileOf(content: Content): DiskFile {
    return {
      size: async () => {
        await this.#alive();
        return content.bytes.length;
      },
      read: async (offset, length) => {
        await this.#alive();
        return content.bytes.slice(offset, offset + length);
      },
      writeDurably: (offset, bytes) => this.#write(content, offset, bytes),
      cutDurably: async (size) => {
        await this.#step();
        this.#checkSync();
        content.bytes = content.bytes.slice(0, size);
        content.durable = content.durable.slice(0, size);
      },
      datasync: async () => {
        await this.#step();
        this.#checkSync();
        content.durable = content.bytes.slice();
      },
      close: () => Promise.resolve(),
    };
  }

  async #write(content: Content, offset: number, bytes: Uint8Array): Promise<void> {
    const torn = (): void => this.#tear(content, offset, bytes);
    await this.#step(torn);
    if (this.#full && offset + bytes.length > content.bytes.length) {
      const space = Math.max(0, content.bytes.length - offset);
      this.#tear(content, offset, bytes.subarray(0, space + this.#slack(bytes.length - space)));
      throw noSpace();
    }
    if (this.#syncsFail) {
      this.#tear(content, offset, bytes);
      this.#checkSync();
    }
    content.bytes = overlay(content.bytes, offset, bytes);
    content.durable = overlay(content.durable, offset, bytes);
  }

  /** The machine stops during a write: every sector of it is old or new, on the medium as above. */
  #tear(content: Content, offset: number, bytes: Uint8Array): void {
    const whole = randomInteger(this.#random, 4) === 0;
    for (let at = 0; at < bytes.length;) {
      const sectorEnd = (Math.floor((offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset;
      const part = bytes.subarray(at, sectorEnd);
      if (whole || randomInteger(this.#random, 2) === 0) {
        content.bytes = overlay(content.bytes, offset + at, part);
        if (randomInteger(this.#random, 2) === 0) {
          content.durable = overlay(content.durable, offset + at, part);
        }
      }
      at = sectorEnd;
    }
  }

  /** The last block has a little room left, perhaps. */
  #slack(bytes: number): number {
    return randomInteger(this.#random, Math.min(bytes, SECTOR_BYTES));
  }

  #checkSync(): void {
    if (this.#syncsFail) throw failure("EIO", "i/o error");
  }

  #change(change: NameChange): void {
    rename(this.#names, change);
    this.#pending.push(change);
  }

  /** One change of the disk: the place where every fault strikes. */
  async #step(interrupted: () => void = () => undefined): Promise<void> {
    await this.#alive();
    this.#steps += 1;
    const { crashAtStep, failAtStep, fullAtStep } = this.#faults;
    if (this.#steps === crashAtStep) {
      interrupted();
      this.#crashed = true;
      await this.#alive();
    }
    if (this.#steps === failAtStep) throw failure("EIO", "i/o error");
    if (fullAtStep !== undefined && this.#steps >= fullAtStep) this.#full = true;
    // Others run while the disk works.
    await (this.#delay?.() ?? Promise.resolve());
    await this.#alive();
  }

  /** Calls into a stopped machine never return. */
  #alive(): Promise<void> {
    return this.#crashed ? new Promise(() => undefined) : Promise.resolve();
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

function noSpace(): Error {
  return failure("ENOSPC", "no space left on device");
}

function overlay(base: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(base.length, offset + bytes.length));
  result.set(base);
  result.set(bytes, offset);
  return result;
}

function rename(names: Map<string, Content>, change: NameChange): void {
  if (change.type === "add") {
    names.set(change.path, change.content);
    return;
  }
  const path = change.type === "rename" ? change.from : change.path;
  const content = names.get(path);
  names.delete(path);
  if (change.type === "rename" && content !== undefined) names.set(change.to, content);
}

function copyOf(
  names: ReadonlyMap<string, Content>,
  pick: (content: Content) => Uint8Array,
): Map<string, Uint8Array> {
  return new Map([...names].map(([path, content]) => [path, pick(content).slice()]));
}
