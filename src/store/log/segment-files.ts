import { Buffer } from "node:buffer";
import type { Random } from "../../lib/index.ts";
import { isDiskFull } from "../disk.ts";
import type { Disk, DiskFile } from "../disk.ts";
import type { Segment } from "./log-recovery.ts";
import { encodeSegmentHeader, SEGMENT_VERSION } from "./segment-header.ts";
import type { CurrentSegmentHeader } from "./segment-header.ts";

/** Dropped segments kept for reuse: overwriting costs half of what growing a file does. */
export const MAX_SPARE_SEGMENTS = 4;
/** Written once, for the votes of a time without space: a segment of a thousand of them. */
export const RESERVE_BYTES = 64 * 1024;

/** New segments take shape under this name. */
const PARTIAL = "next.partial";
const RESERVE = "reserve";
const SEGMENT_NAME = /^\d{16}\.log$/;
const SPARE_NAME = /^spare-\d{16}$/;

type NewSegment = Omit<CurrentSegmentHeader, "version" | "salt">;

/** The files of a log: names, spares and the reserve. */
export class SegmentFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #random: Random;
  readonly #spares: string[];
  #reserve: boolean;
  /** Segments as they were found. */
  readonly segments: readonly string[];
  #lastNumber: number;

  private constructor(
    options: { readonly disk: Disk; readonly directory: string; readonly random: Random },
    names: readonly string[],
  ) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#random = options.random;
    this.#spares = names.filter((name) => SPARE_NAME.test(name));
    this.#reserve = names.includes(RESERVE);
    this.segments = names.filter((name) => SEGMENT_NAME.test(name)).sort();
    this.#lastNumber = Number(this.segments.at(-1)?.slice(0, 16) ?? 0);
  }

  static async open(options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly random: Random;
  }): Promise<SegmentFiles> {
    await options.disk.makeDirectory(options.directory);
    return new SegmentFiles(options, await options.disk.list(options.directory));
  }

  get hasReserve(): boolean {
    return this.#reserve;
  }

  pathOf(name: string): string {
    return `${this.#directory}/${name}`;
  }

  open(name: string): Promise<DiskFile> {
    return this.#disk.open(this.pathOf(name));
  }

  /** Opens a segment with everything in it durable. */
  async openActive(name: string): Promise<DiskFile> {
    const file = await this.open(name);
    await file.datasync();
    return file;
  }

  async cut(name: string, size: number): Promise<void> {
    const file = await this.open(name);
    await file.cutDurably(size);
    await file.close();
  }

  /**
   * Its header is durable before the file gets its name, so a named segment always has one. Its
   * number is that of its first entry, or the next free one: names tell the order of writing.
   * A full disk changes nothing before the name.
   */
  async create(
    content: NewSegment,
    from?: "reserve",
  ): Promise<{ readonly segment: Segment; readonly file: DiskFile }> {
    const salt = Buffer.from(this.#random.bytes(8)).readBigUInt64LE(0);
    const header: CurrentSegmentHeader = { ...content, version: SEGMENT_VERSION, salt };
    const number = Math.max(this.#lastNumber + 1, content.firstIndex);
    const name = `${String(number).padStart(16, "0")}.log`;
    const spare = from === "reserve" ? undefined : this.#spares[0];
    const source = from === "reserve" ? RESERVE : (spare ?? PARTIAL);
    const file = await this.open(source);
    try {
      await file.writeDurably(0, encodeSegmentHeader(header));
      await this.#disk.rename(this.pathOf(source), this.pathOf(name));
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#syncNames();
    this.#lastNumber = number;
    if (spare !== undefined) this.#spares.shift();
    if (from === "reserve") this.#reserve = false;
    return { segment: { name, header }, file };
  }

  /** Gives segments up: some become spares. */
  async recycle(names: readonly string[]): Promise<void> {
    const spares: string[] = [];
    for (const name of names) {
      // Named after its number, so that two spares never share a name.
      const spare = `spare-${name.slice(0, 16)}`;
      if (this.#spares.length + spares.length >= MAX_SPARE_SEGMENTS) {
        await this.#disk.remove(this.pathOf(name));
      } else {
        await this.#disk.rename(this.pathOf(name), this.pathOf(spare));
        spares.push(spare);
      }
    }
    await this.#syncNames();
    // Not before its new name is durable: a reused file must not come back under the old one.
    this.#spares.push(...spares);
  }

  /** Makes the reserve when there is none, if there is space for it. */
  async keepReserve(): Promise<void> {
    if (this.#reserve) return;
    try {
      const file = await this.open(PARTIAL);
      try {
        await file.writeDurably(0, new Uint8Array(RESERVE_BYTES));
      } finally {
        await file.close();
      }
      await this.#disk.rename(this.pathOf(PARTIAL), this.pathOf(RESERVE));
      await this.#syncNames();
      this.#reserve = true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  /** Names that were changed and perhaps not made durable: no full disk may pass for harmless. */
  async #syncNames(): Promise<void> {
    try {
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      throw new Error(`the log's names could not be made durable: ${String(error)}`, {
        cause: error,
      });
    }
  }
}
