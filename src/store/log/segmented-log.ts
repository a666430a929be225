import { Buffer } from "node:buffer";
import { assert } from "../../lib/index.ts";
import type { Random } from "../../lib/index.ts";
import type { SoloEntry, LogIndex, Term } from "../../raft/index.ts";
import type { Disk, DiskFile } from "../disk.ts";
import {
  decodeFrame,
  decodeSegmentHeader,
  encodeFrame,
  encodeSegmentHeader,
  findFrame,
  frameBytes,
  SEGMENT_HEADER_BYTES,
} from "./log-frame.ts";
import type { SegmentHeader } from "./log-frame.ts";

/** A segment is closed before it grows over this. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;
/** Dropped segments kept for reuse: overwriting costs half of what growing a file does. */
export const MAX_SPARE_SEGMENTS = 4;

/** New segments take shape under this name. */
const PARTIAL = "next.partial";
const SEGMENT_NAME = /^\d{16}\.log$/;
const SPARE_NAME = /^spare-\d{16}$/;

/** The log on disk is not what was written: never repaired silently. */
export class LogDamagedError extends Error {
  override readonly name = "LogDamagedError";
}

export interface SegmentedLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly random: Random;
  /** What the state has applied: older entries are not returned, and a new log begins behind it. */
  readonly appliedIndex: LogIndex;
  readonly segmentBytes?: number | undefined;
}

export interface OpenedLog {
  readonly log: SegmentedLog;
  /** Durable entries behind the applied index, oldest first. */
  readonly entries: readonly SoloEntry[];
  readonly lastIndex: LogIndex;
  /** Term of the last entry in the log; 0 when it has none. */
  readonly lastTerm: Term;
}

interface Segment {
  readonly name: string;
  readonly firstIndex: LogIndex;
}

interface ActiveSegment extends Segment {
  readonly file: DiskFile;
  readonly salt: bigint;
}

interface ParsedSegment {
  readonly header: SegmentHeader;
  readonly entries: readonly SoloEntry[];
  /** Where the next frame goes. */
  readonly end: number;
}

/**
 * The replicated log as files: `0000000000000001.log` holds the entries from index 1 on. Appends
 * are one durable write each, one at a time. What an interrupted append left at the end is cut at
 * open; anything else that does not verify is refused.
 */
export class SegmentedLog {
  readonly #options: SegmentedLogOptions;
  readonly #segmentBytes: number;
  /** Full segments, oldest first. */
  readonly #sealed: Segment[];
  readonly #spares: string[];
  #active: ActiveSegment;
  #offset: number;
  #lastIndex: LogIndex;
  #appending = false;
  #failed = false;

  private constructor(
    options: SegmentedLogOptions,
    parts: {
      sealed: Segment[];
      spares: string[];
      active: ActiveSegment;
      offset: number;
      lastIndex: LogIndex;
    },
  ) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#sealed = parts.sealed;
    this.#spares = parts.spares;
    this.#active = parts.active;
    this.#offset = parts.offset;
    this.#lastIndex = parts.lastIndex;
  }

  /** @throws LogDamagedError naming the file and the place. */
  static async open(options: SegmentedLogOptions): Promise<OpenedLog> {
    const { disk, directory, appliedIndex } = options;
    await disk.makeDirectory(directory);
    const names = await disk.list(directory);
    const spares = names.filter((name) => SPARE_NAME.test(name));
    const segments = names.filter((name) => SEGMENT_NAME.test(name)).sort();
    const last = segments.at(-1);
    if (last === undefined) {
      const active = await createSegment(options, spares, (appliedIndex + 1) as LogIndex);
      const parts = { sealed: [], spares, active, offset: SEGMENT_HEADER_BYTES };
      const log = new SegmentedLog(options, { ...parts, lastIndex: appliedIndex });
      return { log, entries: [], lastIndex: appliedIndex, lastTerm: 0 as Term };
    }
    const read = await readSegments(options, segments);
    const { header, end } = read.last;
    // A killed process may have left writes in the page cache that no sync has reached yet.
    const file = await disk.open(`${directory}/${last}`);
    await file.datasync();
    const active = { name: last, firstIndex: header.firstIndex, file, salt: header.salt };
    const { sealed, lastIndex, lastTerm, entries } = read;
    const log = new SegmentedLog(options, { sealed, spares, active, offset: end, lastIndex });
    return { log, entries, lastIndex, lastTerm };
  }

  get segmentCount(): number {
    return this.#sealed.length + 1;
  }

  /**
   * Resolves when the entries are durable. A rejection is final: what is on the medium is unknown,
   * and every later append rejects too.
   */
  async append(entries: readonly SoloEntry[]): Promise<void> {
    assert(!this.#appending, "one append at a time");
    assert(!this.#failed, "the log has failed and takes no more entries");
    const first = entries[0]?.index;
    assert(first === this.#lastIndex + 1, `entry ${first} does not follow ${this.#lastIndex}`);
    this.#appending = true;
    try {
      if (this.#offset + frameBytes(entries) > this.#segmentBytes) await this.#roll();
      const frame = encodeFrame(entries, this.#active.salt);
      await this.#active.file.writeDurably(this.#offset, frame);
      this.#offset += frame.length;
      this.#lastIndex = (this.#lastIndex + entries.length) as LogIndex;
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      this.#appending = false;
    }
  }

  /** Gives up segments whose entries are all at or below an index that the state keeps durably. */
  async dropThrough(index: LogIndex): Promise<void> {
    const { disk, directory } = this.#options;
    let dropped = 0;
    const spares: string[] = [];
    for (;;) {
      const next = this.#sealed[1] ?? this.#active;
      const segment = this.#sealed[0];
      if (segment === undefined || next.firstIndex > index + 1) break;
      this.#sealed.shift();
      dropped += 1;
      const path = `${directory}/${segment.name}`;
      // Named after its first entry, so that two spares never share a name.
      const spare = `spare-${segment.name.slice(0, 16)}`;
      if (this.#spares.length + spares.length >= MAX_SPARE_SEGMENTS) await disk.remove(path);
      else {
        await disk.rename(path, `${directory}/${spare}`);
        spares.push(spare);
      }
    }
    if (dropped === 0) return;
    await disk.syncDirectory(directory);
    // Not before its new name is durable: a reused file must not come back under the old one.
    this.#spares.push(...spares);
  }

  async close(): Promise<void> {
    await this.#active.file.close();
  }

  async #roll(): Promise<void> {
    const next = (this.#lastIndex + 1) as LogIndex;
    const created = await createSegment(this.#options, this.#spares, next);
    const { file, name, firstIndex } = this.#active;
    this.#sealed.push({ name, firstIndex });
    this.#active = created;
    this.#offset = SEGMENT_HEADER_BYTES;
    await file.close();
  }
}

/** Its header is durable before the file gets its name, so a named segment always has one. */
async function createSegment(
  options: SegmentedLogOptions,
  spares: string[],
  firstIndex: LogIndex,
): Promise<ActiveSegment> {
  const { disk, directory, random } = options;
  const salt = Buffer.from(random.bytes(8)).readBigUInt64LE(0);
  const name = `${String(firstIndex).padStart(16, "0")}.log`;
  const source = `${directory}/${spares.shift() ?? PARTIAL}`;
  const file = await disk.open(source);
  await file.writeDurably(0, encodeSegmentHeader({ firstIndex, salt }));
  await disk.rename(source, `${directory}/${name}`);
  await disk.syncDirectory(directory);
  return { name, firstIndex, file, salt };
}

async function readSegments(options: SegmentedLogOptions, names: readonly string[]) {
  const { disk, directory, appliedIndex } = options;
  const sealed: Segment[] = [];
  const entries: SoloEntry[] = [];
  let last: ParsedSegment | undefined;
  let lastIndex = 0 as LogIndex;
  let lastTerm = 0 as Term;
  for (const name of names) {
    const path = `${directory}/${name}`;
    const parsed = parseSegment(path, await readWhole(disk, path));
    const { firstIndex } = parsed.header;
    const expected = last === undefined ? Math.min(firstIndex, appliedIndex + 1) : lastIndex + 1;
    if (firstIndex !== expected) {
      throw damaged(path, `it begins at entry ${firstIndex} where ${expected} is next`);
    }
    lastIndex = (firstIndex + parsed.entries.length - 1) as LogIndex;
    lastTerm = parsed.entries.at(-1)?.term ?? lastTerm;
    for (const entry of parsed.entries) if (entry.index > appliedIndex) entries.push(entry);
    if (name !== names.at(-1)) sealed.push({ name, firstIndex });
    last = parsed;
  }
  assert(last !== undefined, "there is at least one segment");
  if (lastIndex < appliedIndex) {
    throw damaged(directory, `it ends at entry ${lastIndex}, but ${appliedIndex} was applied`);
  }
  return { sealed, entries, last, lastIndex, lastTerm };
}

async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path);
  try {
    const bytes = await file.read(0, await file.size());
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } finally {
    await file.close();
  }
}

function parseSegment(path: string, segment: Buffer): ParsedSegment {
  const header = decodeSegmentHeader(segment);
  if (header === undefined) throw damaged(path, "its header does not verify");
  if (header === "newer") throw new Error(`${path} was written by a newer version of Kubun`);
  const entries: SoloEntry[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  for (;;) {
    const frame = decodeFrame(segment, offset, header.salt);
    if (frame === undefined) break;
    const expected = header.firstIndex + entries.length;
    if (frame.entries[0]?.index !== expected) {
      throw damaged(path, `entry ${expected} is missing at byte ${offset}`);
    }
    for (const entry of frame.entries) entries.push(entry);
    offset = frame.end;
  }
  // A write begins only after the one before is durable. So a sound frame behind an unsound one
  // proves that the unsound one was acknowledged once: damage, not an interrupted write.
  const later = findFrame(segment, offset + 8, header.salt);
  if (later !== undefined) {
    throw damaged(path, `byte ${offset} does not verify, but byte ${later} behind it does`);
  }
  return { header, entries, end: offset };
}

function damaged(path: string, what: string): LogDamagedError {
  return new LogDamagedError(
    `the log is damaged: ${path}: ${what}. Restore the data directory from a snapshot.`,
  );
}
