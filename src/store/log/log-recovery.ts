import { Buffer } from "node:buffer";
import { assert } from "../../lib/index.ts";
import type { HardState, LogIndex, Term } from "../../raft/index.ts";
import type { Disk } from "../disk.ts";
import { decodeFrame, findFrame } from "./log-frame.ts";
import type { Frame } from "./log-frame.ts";
import { LogMap } from "./log-map.ts";
import { LogDamagedError } from "./log-types.ts";
import type { LogPoint, SegmentedLogOptions } from "./log-types.ts";
import {
  decodeSegmentHeader,
  hasHardState,
  headerBytes,
  SEGMENT_HEADER_BYTES,
} from "./segment-header.ts";
import type { SegmentHeader } from "./segment-header.ts";

export interface Segment {
  readonly name: string;
  readonly header: SegmentHeader;
}

/** What a log's files say, and what is to be done before anything is appended. */
export interface RecoveredLog {
  /** Oldest first; the last one is the newest. */
  readonly segments: readonly Segment[];
  readonly map: LogMap<Segment>;
  /** Absent in a log of the first release. */
  readonly hardState?: HardState | undefined;
  /** Where the next frame goes in the last segment. */
  readonly end: number;
  readonly recoverTo: LogIndex | 0;
  /** Files that no longer count: before a reset, or behind a cut. */
  readonly void: readonly string[];
  /** A cut that was decided and has to be finished. */
  readonly cuts: readonly { readonly name: string; readonly size: number }[];
  /**
   * none: append behind `end`. roll: the last segment takes no more, because it is of an old format
   * or ends in an interrupted write whose vote counts. cut: damage, give up what is behind the map.
   */
  readonly repair: "none" | "roll" | "cut";
}

interface Damage {
  readonly segment: number;
  readonly offset: number;
  readonly what: string;
  /** The segment's part in front of `offset` still counts. */
  readonly keep: boolean;
}

/** Reads segments in order, as they were written. Nothing on the disk changes. */
export class LogRecovery {
  readonly #options: SegmentedLogOptions;
  readonly #names: readonly string[];
  readonly #headers: (SegmentHeader | undefined)[] = [];
  readonly #segments: Segment[] = [];
  readonly #void: string[] = [];
  readonly #cuts: { name: string; size: number }[] = [];
  #map: LogMap<Segment> | undefined;
  #hardState: HardState | undefined;
  #end = 0;
  #endsInEcho = false;

  /** @param names of the segments, oldest first, at least one */
  constructor(options: SegmentedLogOptions, names: readonly string[]) {
    this.#options = options;
    this.#names = names;
  }

  /** @throws LogDamagedError naming the file and the place, if it may not or cannot be repaired */
  async run(): Promise<RecoveredLog> {
    for (const name of this.#names) this.#headers.push(await this.#readHeader(name));
    const begin = this.#headers.findLastIndex((header) => kindOf(header) === "reset");
    this.#void.push(...this.#names.slice(0, Math.max(0, begin)));
    for (let at = Math.max(0, begin); at < this.#names.length;) {
      const damage = await this.#readSegment(at);
      if (damage === undefined) {
        at += 1;
        continue;
      }
      const cut = this.#decidedCut(damage);
      if (cut === undefined) return this.#cutAt(damage);
      this.#finishCut(damage, cut);
      at = cut;
    }
    return this.#result("none");
  }

  #result(repair: "none" | "cut", recoverTo: LogIndex | 0 = 0): RecoveredLog {
    const map = this.#map;
    const last = this.#segments.at(-1);
    assert(map !== undefined && last !== undefined, "a log has a segment");
    const known = hasHardState(last.header) ? last.header.recoverTo : 0;
    const roll = this.#endsInEcho || !hasHardState(last.header);
    const lost = Math.max(recoverTo, known) as LogIndex;
    return {
      segments: this.#segments,
      map,
      hardState: this.#hardState,
      end: this.#end,
      recoverTo: lost > map.lastIndex ? lost : 0,
      void: this.#void,
      cuts: this.#cuts,
      repair: repair === "none" && roll ? "roll" : repair,
    };
  }

  async #readSegment(at: number): Promise<Damage | undefined> {
    const name = this.#names[at] ?? "";
    const header = this.#headers[at];
    const whole = { segment: at, offset: 0, keep: false };
    if (header === undefined) return { ...whole, what: "its header does not verify" };
    const bytes = await this.#read(name);
    const segment = { name, header };
    const gap = this.#map === undefined ? this.#begin(segment, bytes) : this.#checkNext(header);
    if (gap !== undefined) return { ...whole, what: gap };
    this.#map?.endBefore(header.firstIndex);
    this.#segments.push(segment);
    if (hasHardState(header)) this.#hardState = header.hardState;
    this.#endsInEcho = false;
    this.#end = headerBytes(header);
    for (;;) {
      const frame = decodeFrame(bytes, this.#end, header);
      if (frame === undefined) break;
      const next = (this.#map?.lastIndex ?? 0) + 1;
      if (frame.firstIndex > next || frame.firstIndex < 1) {
        const what = `entry ${next} is missing`;
        return { segment: at, offset: this.#end, what, keep: true };
      }
      this.#take(frame, segment);
    }
    return this.#checkEnd(at, bytes, header);
  }

  #take(frame: Frame, segment: Segment): void {
    let { entries } = frame;
    const first = entries[0];
    let map = this.#map;
    assert(map !== undefined, "the first segment makes the map");
    if (first !== undefined && first.index <= map.base.index) {
      // What it replaced is in a segment that is dropped by now: the log begins behind this entry.
      map = new LogMap({ index: first.index, term: first.term });
      this.#map = map;
      entries = entries.slice(1);
    }
    map.write(entries, { segment, offset: this.#end, end: frame.end });
    if (frame.hardState !== undefined) this.#hardState = frame.hardState;
    this.#end = frame.end;
  }

  /**
   * A write begins only after the one before is durable. So a sound frame behind an unsound one
   * proves that the unsound one was acknowledged once: damage, not an interrupted write. Except an
   * echo, which was part of the same write: its vote may have been given, so it counts.
   */
  #checkEnd(at: number, bytes: Buffer, header: SegmentHeader): Damage | undefined {
    const later = findFrame(bytes, this.#end + 1, header);
    if (later === undefined) return undefined;
    const { frame, offset } = later;
    if (frame.echo && findFrame(bytes, frame.end, header) === undefined) {
      // Its commit index may count entries that the lost frame would have put in place of others.
      const commit = this.#hardState?.commit ?? (0 as LogIndex);
      if (frame.hardState !== undefined) this.#hardState = { ...frame.hardState, commit };
      this.#endsInEcho = true;
      return undefined;
    }
    const what = `it does not verify there, but byte ${offset} behind it does`;
    return { segment: at, offset: this.#end, what, keep: true };
  }

  /** The first segment says where the log begins. @returns what is wrong with it */
  #begin(segment: Segment, bytes: Buffer): string | undefined {
    const { header } = segment;
    const { applied } = this.#options;
    const index = (header.firstIndex - 1) as LogIndex;
    if (index > applied.index) {
      return `it begins at entry ${header.firstIndex} where ${applied.index + 1} is next`;
    }
    if (hasHardState(header)) {
      this.#map = new LogMap({ index, term: header.previousTerm });
      return undefined;
    }
    // The first format does not tell the term of the entry before: the log begins one later then.
    const first = decodeFrame(bytes, headerBytes(header), header)?.entries[0];
    if (index === applied.index || index === 0) {
      this.#map = new LogMap(index === 0 ? { index, term: 0 as Term } : applied);
    } else if (first === undefined) {
      return `it has no entry ${header.firstIndex}, but ${applied.index} was applied`;
    } else {
      this.#map = new LogMap({ index: first.index, term: first.term });
    }
    return undefined;
  }

  #checkNext(header: SegmentHeader): string | undefined {
    const lastIndex = this.#map?.lastIndex ?? 0;
    const { firstIndex } = header;
    const follows =
      firstIndex === lastIndex + 1 || (kindOf(header) === "cut" && firstIndex <= lastIndex);
    if (!follows) return `it begins at entry ${firstIndex} where ${lastIndex + 1} is next`;
    const term = this.#map?.termAt((firstIndex - 1) as LogIndex);
    if (hasHardState(header) && header.previousTerm !== term) {
      return `the entry before it is of term ${term}, not ${header.previousTerm}`;
    }
    return undefined;
  }

  /** A later segment that begins right where this damage ends the log: it was cut there before. */
  #decidedCut(damage: Damage): number | undefined {
    const found = this.#headers.findLastIndex(
      (header, at) =>
        at > damage.segment &&
        header !== undefined &&
        kindOf(header) === "cut" &&
        this.#map !== undefined &&
        this.#checkNext(header) === undefined,
    );
    return found < 0 ? undefined : found;
  }

  #finishCut(damage: Damage, cut: number): void {
    const name = this.#names[damage.segment] ?? "";
    if (damage.keep) this.#cuts.push({ name, size: damage.offset });
    const from = damage.keep ? damage.segment + 1 : damage.segment;
    this.#void.push(...this.#names.slice(from, cut));
  }

  /**
   * New damage. What is behind it still tells how far the log went and what was promised, if the
   * newest segment can be read: without it a vote may be forgotten, and no repair is safe.
   */
  async #cutAt(damage: Damage): Promise<RecoveredLog> {
    const { directory, repair } = this.#options;
    const name = this.#names[damage.segment] ?? "";
    const error = new LogDamagedError(`${directory}/${name}`, damage.offset, damage.what);
    const last = this.#headers.at(-1);
    const known = last !== undefined && hasHardState(last) && this.#map !== undefined;
    if (repair?.type !== "refetch" || !known) throw error;
    let highest = Math.max(this.#map?.lastIndex ?? 0, this.#hardState?.commit ?? 0);
    this.#keepCommitted();
    for (let at = damage.segment; at < this.#names.length; at++) {
      const header = this.#headers[at];
      if (header === undefined) continue;
      highest = Math.max(highest, header.firstIndex - 1);
      if (hasHardState(header)) {
        highest = Math.max(highest, this.#promised(header.hardState), header.recoverTo);
      }
      const from = at === damage.segment ? damage.offset : 0;
      const bytes = await this.#read(this.#names[at] ?? "");
      for (let found = findFrame(bytes, from, header); found !== undefined;) {
        const { frame } = found;
        highest = Math.max(highest, frame.firstIndex + frame.entries.length - 1);
        if (frame.hardState !== undefined) {
          highest = Math.max(highest, this.#promised(frame.hardState));
        }
        found = findFrame(bytes, frame.end, header);
      }
    }
    this.#finishCut(damage, this.#names.length);
    return this.#result("cut", highest as LogIndex);
  }

  /**
   * What is damaged may have replaced any entry that was not committed before it: those are not
   * known to be the log's last word any more, and are given up with it.
   */
  #keepCommitted(): void {
    const committed = this.#hardState?.commit ?? 0;
    const keep = Math.max(committed, this.#map?.base.index ?? 0) + 1;
    this.#map?.endBefore(keep as LogIndex);
  }

  #promised(hardState: HardState): LogIndex {
    this.#hardState = hardState;
    return hardState.commit;
  }

  async #readHeader(name: string): Promise<SegmentHeader | undefined> {
    const path = `${this.#options.directory}/${name}`;
    const header = decodeSegmentHeader(
      await readFile(this.#options.disk, path, SEGMENT_HEADER_BYTES),
    );
    if (header === "newer") throw new Error(`${path} was written by a newer version of Kubun`);
    return header;
  }

  #read(name: string): Promise<Buffer> {
    return readFile(this.#options.disk, `${this.#options.directory}/${name}`);
  }
}

function kindOf(header: SegmentHeader | undefined): string | undefined {
  return header !== undefined && hasHardState(header) ? header.kind : undefined;
}

/** The hard state to go on with: what was written, within what the log and the state have. */
export function usableHardState(
  written: HardState | undefined,
  log: { readonly lastIndex: LogIndex; readonly lastTerm: Term },
  applied: LogPoint,
): HardState {
  const term = Math.max(written?.term ?? 0, log.lastTerm, applied.term) as Term;
  const commit = Math.min(written?.commit ?? log.lastIndex, log.lastIndex);
  return {
    term,
    vote: written?.term === term ? written.vote : 0,
    commit: Math.max(commit, applied.index) as LogIndex,
  };
}

async function readFile(disk: Disk, path: string, limit = Infinity): Promise<Buffer> {
  const file = await disk.open(path);
  try {
    const bytes = await file.read(0, Math.min(limit, await file.size()));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } finally {
    await file.close();
  }
}
