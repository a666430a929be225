import { Buffer } from "node:buffer";
import { assert } from "../lib/index.ts";
import type { LogEntry, LogIndex, SnapshotPoint, Term } from "../raft/index.ts";
import type { Disk } from "./disk.ts";
import type { Applier } from "./driver-options.ts";
import { readDurableFile, writeDurableFile } from "./durable-file.ts";
import { decodeGroup, EMPTY_GROUP } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";

export const WITNESS_FILE = "witness.json";

interface WitnessNote {
  readonly index: LogIndex;
  readonly term: Term;
  readonly group: GroupRecord;
  /** Where a peer's note was taken over; 0 when this one grew here. */
  readonly installed: number;
}

/**
 * All that a witness keeps beside its log: how far the log is committed, and who the members are
 * there. The file may be older than what is known: the log has the entries between.
 */
export class WitnessState implements Applier {
  readonly #place: { readonly disk: Disk; readonly directory: string };
  #note: WitnessNote;

  private constructor(
    place: { readonly disk: Disk; readonly directory: string },
    note: WitnessNote,
  ) {
    this.#place = place;
    this.#note = note;
  }

  static async open(place: {
    readonly disk: Disk;
    readonly directory: string;
  }): Promise<WitnessState> {
    const text = await readDurableFile(place.disk, place.directory, WITNESS_FILE);
    const none = { index: 0 as LogIndex, term: 0 as Term, group: EMPTY_GROUP, installed: 0 };
    const note = text === undefined ? none : (JSON.parse(text) as WitnessNote);
    return new WitnessState(place, note);
  }

  get appliedIndex(): LogIndex {
    return this.#note.index;
  }

  get appliedTerm(): Term {
    return this.#note.term;
  }

  get group(): GroupRecord {
    return this.#note.group;
  }

  get installed(): boolean {
    return this.#note.installed > 0 && this.#note.installed === this.#note.index;
  }

  /** What the entry asks of the state is the data members' business. */
  apply(entry: LogEntry): readonly [] {
    this.applyConfig(entry, this.#note.group);
    return [];
  }

  applyConfig(entry: LogEntry, group: GroupRecord): void {
    const next = this.#note.index + 1;
    assert(entry.index === next, `entry ${entry.index} is applied where ${next} is next`);
    this.#note = { ...this.#note, index: entry.index, term: entry.term, group };
  }

  /** Before the log is dropped up to here. */
  async save(): Promise<void> {
    const { disk, directory } = this.#place;
    await writeDurableFile(disk, directory, WITNESS_FILE, JSON.stringify(this.#note));
  }

  /** Takes over what the leader says instead of a state; the log restarts behind it. */
  async install(path: string, point: SnapshotPoint): Promise<void> {
    const { disk } = this.#place;
    const file = await disk.open(path);
    const bytes = await file.read(0, await file.size());
    await file.close();
    const group = decodeGroup(Buffer.from(bytes));
    assert(group !== undefined, "a note for a witness names the group");
    const { index, term } = point;
    this.#note = { index, term, group, installed: index };
    await this.save();
    await disk.remove(path);
  }
}
