import { assert } from "../../lib/index.ts";
import type { HardState, LogEntry, LogIndex, Term } from "../../raft/index.ts";
import { DiskFullError, isDiskFull } from "../disk.ts";
import type { DiskFile } from "../disk.ts";
import { encodeAppend } from "./log-frame.ts";
import { LogMap } from "./log-map.ts";
import { readEntries } from "./log-reader.ts";
import { LogRecovery, usableHardState } from "./log-recovery.ts";
import type { RecoveredLog, Segment } from "./log-recovery.ts";
import { LogDamagedError } from "./log-types.ts";
import type {
  DurableLog,
  LogAppend,
  LogPoint,
  OpenedLogState,
  SegmentedLogOptions,
} from "./log-types.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { SegmentFiles } from "./segment-files.ts";

export { LogDamagedError } from "./log-types.ts";

/** A segment is closed before it grows over this. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;
/**
 * A segment grows by so much at once: most appends then overwrite, and wait for their own bytes
 * only, not for the file system's records of where they are.
 */
export const GROWTH_BYTES = 32 * 1024;
/** What `open` hands out of the log's end. */
export const TAIL_BYTES = 1024 * 1024;

export interface OpenedLog extends OpenedLogState {
  readonly log: SegmentedLog;
}

interface LogParts {
  readonly options: SegmentedLogOptions;
  readonly files: SegmentFiles;
  readonly map: LogMap<Segment>;
  readonly sealed: Segment[];
  readonly active: { readonly segment: Segment; readonly file: DiskFile };
  readonly offset: number;
  readonly hardState: HardState;
  readonly recoverTo: LogIndex | 0;
}

/**
 * The replicated log as files: `0000000000000001.log` and so on, in the order in which they were
 * written. Appends are one durable write each, one at a time. What an interrupted append left at
 * the end is cut at open; anything else that does not verify is refused, or refetched from peers.
 */
export class SegmentedLog implements DurableLog {
  readonly #files: SegmentFiles;
  readonly #segmentBytes: number;
  readonly #growthBytes: number;
  /** Full segments, oldest first. */
  #sealed: Segment[];
  #map: LogMap<Segment>;
  #active: { readonly segment: Segment; readonly file: DiskFile };
  #offset: number;
  /** How long the active file is at least; 0 while nobody looked. */
  #grownTo = 0;
  /** As the caller last gave it; its term and vote are on the medium, its commit may not be. */
  #hardState: HardState;
  #recoverTo: LogIndex | 0;
  #appending = false;
  #failed = false;
  /** Something was written that no later frame vouches for yet. */
  #unsealed = false;
  /** Reads under way: no file goes before they are done. */
  readonly #reads = new Set<Promise<unknown>>();

  private constructor(parts: LogParts) {
    this.#files = parts.files;
    this.#segmentBytes = parts.options.segmentBytes ?? SEGMENT_BYTES;
    this.#growthBytes = parts.options.growthBytes ?? GROWTH_BYTES;
    this.#map = parts.map;
    this.#sealed = parts.sealed;
    this.#active = parts.active;
    this.#offset = parts.offset;
    this.#hardState = parts.hardState;
    this.#recoverTo = parts.recoverTo;
  }

  /** @throws LogDamagedError naming the file and the place. */
  static async open(options: SegmentedLogOptions): Promise<OpenedLog> {
    const files = await SegmentFiles.open(options);
    const names = files.segments;
    const recovered = names.length === 0 ? undefined : await new LogRecovery(options, names).run();
    const parts =
      recovered === undefined
        ? await beginLog(options, files)
        : await resumeLog(options, files, recovered);
    const log = new SegmentedLog(parts);
    await files.keepReserve();
    const { map, hardState, recoverTo } = parts;
    const start = map.startOfTail(options.tailBytes ?? TAIL_BYTES);
    const tail = await log.read(start, Infinity);
    return {
      log,
      hardState,
      base: map.base,
      lastIndex: map.lastIndex,
      lastTerm: map.lastTerm,
      tail: tail === "compacted" ? [] : tail,
      ...(recoverTo === 0 ? {} : { recoverTo }),
    };
  }

  get segmentCount(): number {
    return this.#sealed.length + 1;
  }

  get base(): LogPoint {
    return this.#map.base;
  }

  get lastIndex(): LogIndex {
    return this.#map.lastIndex;
  }

  termAt(index: LogIndex): Term | undefined {
    return this.#map.termAt(index);
  }

  async append(write: LogAppend): Promise<void> {
    const { entries, hardState = this.#hardState, commitCounts = false } = write;
    const { term, vote } = this.#hardState;
    const promised = hardState.term !== term || hardState.vote !== vote;
    if (entries.length === 0 && !promised && !commitCounts) {
      this.#hardState = hardState;
      return;
    }
    await this.#alone(() => this.#write(entries, hardState, promised));
  }

  async read(from: LogIndex, maxBytes: number): Promise<readonly LogEntry[] | "compacted"> {
    if (from <= this.#map.base.index) return "compacted";
    const reading = readEntries(this.#map, this.#files, { from, maxBytes });
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }

  async reset(point: LogPoint): Promise<void> {
    await this.#alone(async () => {
      const old = [...this.#sealed, this.#active.segment];
      const commit = Math.max(this.#hardState.commit, point.index) as LogIndex;
      const hardState = { ...this.#hardState, commit };
      const active = await this.#files.create({
        kind: "reset",
        firstIndex: (point.index + 1) as LogIndex,
        previousTerm: point.term,
        hardState,
        recoverTo: this.#recoverTo > point.index ? this.#recoverTo : 0,
      });
      this.#map = new LogMap(point);
      this.#sealed = [];
      await this.#begin(active, hardState);
      await this.#readsDone();
      await this.#files.recycle(old.map((segment) => segment.name));
    });
  }

  async dropThrough(index: LogIndex): Promise<void> {
    const gone = new Set<Segment>();
    for (;;) {
      const segment = this.#sealed[0];
      const next = this.#sealed[1] ?? this.#active.segment;
      if (segment === undefined || next.header.firstIndex > index + 1) break;
      gone.add(segment);
      this.#sealed.shift();
    }
    if (gone.size === 0) return;
    this.#map.drop((segment) => gone.has(segment));
    await this.#readsDone();
    await this.#files.recycle([...gone].map((segment) => segment.name));
  }

  /**
   * The last frame could be damaged later and pass for an interrupted write: one more frame behind
   * it vouches for it while nobody runs.
   */
  async close(): Promise<void> {
    if (this.#unsealed && !this.#failed) {
      const seal = this.#alone(() => this.#write([], this.#hardState, false));
      await seal.catch((error: unknown) => {
        if (!isDiskFull(error)) throw error;
      });
    }
    await this.#readsDone();
    await this.#active.file.close();
  }

  /** Appends exclude each other; what fails for another reason than space fails for good. */
  async #alone(work: () => Promise<void>): Promise<void> {
    assert(!this.#appending, "one append at a time");
    assert(!this.#failed, "the log has failed and takes no more entries");
    this.#appending = true;
    try {
      await work();
    } catch (error) {
      if (!isDiskFull(error)) this.#failed = true;
      throw error;
    } finally {
      this.#appending = false;
    }
  }

  async #write(
    entries: readonly LogEntry[],
    hardState: HardState,
    promised: boolean,
  ): Promise<void> {
    const firstIndex = entries[0]?.index ?? ((this.lastIndex + 1) as LogIndex);
    this.#checkPlace(firstIndex);
    const content = { entries, firstIndex, hardState };
    let encoded = encodeAppend(content, { salt: this.#active.segment.header.salt, echo: promised });
    try {
      if (this.#isFull(encoded.bytes.length)) {
        await this.#roll(this.#hardState);
        const { salt } = this.#active.segment.header;
        encoded = encodeAppend(content, { salt, echo: promised });
      }
      await this.#writeAt(this.#offset, encoded.bytes);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      // A vote is still possible: the header of the reserve takes it.
      if (entries.length === 0 && promised && (await this.#useReserve(hardState))) return;
      throw new DiskFullError(`no space for the log: ${String(error)}`, { cause: error });
    }
    const offset = this.#offset;
    const { segment } = this.#active;
    this.#map.write(entries, { segment, offset, end: offset + encoded.frameBytes });
    this.#offset += encoded.bytes.length;
    this.#hardState = hardState;
    this.#unsealed = entries.length > 0;
    if (entries.length > 0) await this.#files.keepReserve();
  }

  /** What was torn off by a full disk is cut away before anybody hears of it. */
  async #writeAt(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.length;
    if (end > this.#grownTo && (await this.#grow(offset, bytes))) return;
    try {
      await this.#active.file.writeDurably(offset, bytes);
    } catch (error) {
      if (isDiskFull(error)) await this.#cutTo(offset);
      throw error;
    }
  }

  /** Writes them with zeros behind. @returns false when there is no space for so much */
  async #grow(offset: number, bytes: Uint8Array): Promise<boolean> {
    if (this.#growthBytes === 0) return false;
    const { file } = this.#active;
    const end = offset + bytes.length;
    // A segment that was something else before is long already.
    if (this.#grownTo === 0) this.#grownTo = await file.size();
    const size = Math.min(
      Math.ceil(end / this.#growthBytes) * this.#growthBytes,
      this.#segmentBytes,
    );
    if (end <= this.#grownTo || size <= end) return false;
    const grown = new Uint8Array(size - offset);
    grown.set(bytes);
    try {
      await file.writeDurably(offset, grown);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      await this.#cutTo(offset);
      return false;
    }
    this.#grownTo = size;
    return true;
  }

  async #cutTo(size: number): Promise<void> {
    this.#grownTo = 0;
    await cut(this.#active.file, size);
  }

  #checkPlace(firstIndex: LogIndex): void {
    const { base, lastIndex } = this.#map;
    const allowed = `from ${base.index + 1} to ${lastIndex + 1}`;
    const fits = firstIndex > base.index && firstIndex <= lastIndex + 1;
    assert(fits, `an append begins ${allowed}, not at ${firstIndex}`);
  }

  #isFull(more: number): boolean {
    return this.#offset > SEGMENT_HEADER_BYTES && this.#offset + more > this.#segmentBytes;
  }

  async #roll(hardState: HardState, source?: "reserve"): Promise<void> {
    const { lastIndex, lastTerm } = this.#map;
    const header = {
      kind: "next" as const,
      firstIndex: (lastIndex + 1) as LogIndex,
      previousTerm: lastTerm,
      hardState,
      recoverTo: this.#recoverTo > lastIndex ? this.#recoverTo : (0 as const),
    };
    const active = await this.#files.create(header, source);
    this.#sealed.push(this.#active.segment);
    await this.#begin(active, hardState);
  }

  async #begin(active: LogParts["active"], hardState: HardState): Promise<void> {
    const { file } = this.#active;
    this.#active = active;
    this.#offset = SEGMENT_HEADER_BYTES;
    this.#grownTo = 0;
    this.#hardState = hardState;
    this.#unsealed = false;
    await file.close();
  }

  /** @returns false when there is no reserve left, or its new name finds no space either */
  async #useReserve(hardState: HardState): Promise<boolean> {
    if (!this.#files.hasReserve) return false;
    try {
      await this.#roll(hardState, "reserve");
      return true;
    } catch (error) {
      if (isDiskFull(error)) return false;
      throw error;
    }
  }

  async #readsDone(): Promise<void> {
    await Promise.allSettled(this.#reads);
  }
}

/** Without space even a file can be made shorter; if not, nobody knows what is at its end. */
async function cut(file: DiskFile, size: number): Promise<void> {
  try {
    await file.cutDurably(size);
  } catch (error) {
    throw new Error(`the log's end could not be cut: ${String(error)}`, { cause: error });
  }
}

/** A new log, behind what the state has. */
async function beginLog(options: SegmentedLogOptions, files: SegmentFiles): Promise<LogParts> {
  const { applied } = options;
  const map = new LogMap<Segment>(applied);
  const hardState = usableHardState(undefined, map, applied);
  const active = await files.create({
    kind: "reset",
    firstIndex: (applied.index + 1) as LogIndex,
    previousTerm: applied.term,
    hardState,
    recoverTo: 0,
  });
  const offset = SEGMENT_HEADER_BYTES;
  return { options, files, map, sealed: [], active, offset, hardState, recoverTo: 0 };
}

async function resumeLog(
  options: SegmentedLogOptions,
  files: SegmentFiles,
  recovered: RecoveredLog,
): Promise<LogParts> {
  const { applied, installed = false, repair } = options;
  const { recoverTo, segments, end } = recovered;
  const ended = recovered.map;
  const known = ended.termAt(applied.index);
  // An installed state may also stand for other entries than the log has.
  const behind = ended.lastIndex < applied.index || (known ?? applied.term) !== applied.term;
  if (behind && recovered.repair !== "cut" && !installed) {
    const path = `${options.directory}/${segments.at(-1)?.name}`;
    const last = `entry ${ended.lastIndex} of term ${ended.lastTerm}`;
    const what = `it ends at ${last}, but ${applied.index} of term ${applied.term} was applied`;
    throw new LogDamagedError(path, end, what);
  }
  if (behind && repair?.type === "refetch") await repair.makeStateDurable();
  const map = behind ? new LogMap<Segment>(applied) : ended;
  const hardState = usableHardState(recovered.hardState, map, applied);
  const parts = { options, files, map, hardState, recoverTo };
  const kind = behind ? "reset" : recovered.repair === "cut" ? "cut" : "next";
  if (recovered.repair === "none" && !behind) {
    await finishCuts(files, recovered);
    const segment = segments.at(-1);
    assert(segment !== undefined, "a log has a segment");
    // A killed process may have left writes in the page cache that no sync has reached yet.
    const file = await files.openActive(segment.name);
    return { ...parts, sealed: segments.slice(0, -1), active: { segment, file }, offset: end };
  }
  // What the log's end rests on has to be durable before another segment stands behind it.
  const last = segments.at(-1);
  if (last !== undefined) await (await files.openActive(last.name)).close();
  const active = await files.create({
    kind,
    firstIndex: (map.lastIndex + 1) as LogIndex,
    previousTerm: map.lastTerm,
    hardState,
    recoverTo: recoverTo > map.lastIndex ? recoverTo : 0,
  });
  await finishCuts(files, recovered);
  if (behind) await files.recycle(segments.map((segment) => segment.name));
  const sealed = behind ? [] : [...segments];
  return { ...parts, sealed, active, offset: SEGMENT_HEADER_BYTES };
}

async function finishCuts(files: SegmentFiles, { cuts, void: gone }: RecoveredLog): Promise<void> {
  for (const { name, size } of cuts) await files.cut(name, size);
  if (gone.length > 0) await files.recycle(gone);
}
