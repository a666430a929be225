import { Buffer } from "node:buffer";
import { assert } from "../lib/index.ts";
import type { CancelTimer, Clock, Logger, Random } from "../lib/index.ts";
import { StoreError } from "../mvcc/index.ts";
import type { StatePoint } from "../mvcc/index.ts";
import type { LogIndex, MemberId, SnapshotPoint, Term } from "../raft/index.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { Driver } from "./driver.ts";
import type { SnapshotExchange } from "./driver-options.ts";
import { decodeGroup, encodeGroup, memberIds, roleOf } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";
import type { PeerTransport, ReceivedSnapshot, SnapshotFile } from "./peer-transport.ts";

/** Files made for peers, and files that peers sent, in the store's directory. */
export const OUTGOING_DIRECTORY = "snapshots-out";
export const INCOMING_DIRECTORY = "snapshots-in";

/** A file stays for so long after its last transfer, so that a broken one is resumed from it. */
const KEEP_MS = 60_000;
/** A receiver asks for the entries behind its state within this. */
const FOLLOW_UP_MS = 5_000;
/** A state may arrive before its sender is known to lead. */
const LEADER_WAIT_MS = 10_000;

/** Takes over a received file: the state, then the log behind it. */
export type InstallState = (path: string, point: SnapshotPoint) => Promise<GroupRecord>;

export interface SnapshotRoomOptions {
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: PeerTransport | undefined;
  /** Where the log begins: only a file at or behind it helps a receiver. */
  readonly base: () => LogIndex;
  /** Writes the state into a file; absent in a witness, which has none to give. */
  readonly take: ((path: string) => Promise<StatePoint>) | undefined;
  readonly installState: InstallState;
}

interface Outgoing {
  /** Who was a member when it was begun: nobody else can begin with it. */
  readonly members: ReadonlySet<MemberId>;
  readonly file: Promise<OpenFile>;
  /** Known when it is written. */
  index: LogIndex | undefined;
  users: number;
  /** When the last transfer ended. */
  usedMs: number;
  cancelRemoval: CancelTimer | undefined;
}

interface OpenFile {
  readonly path: string;
  readonly disk: DiskFile;
  readonly snapshot: SnapshotFile;
}

/** State by wire: one file a point for all who need it, and the one that is being taken over. */
export class SnapshotRoom implements SnapshotExchange {
  readonly #options: SnapshotRoomOptions;
  readonly #sending = new Map<MemberId, AbortController>();
  #outgoing: Outgoing | undefined;
  #pending: ReceivedSnapshot | undefined;
  #driver: Driver | undefined;
  #closed = false;

  constructor(options: SnapshotRoomOptions) {
    this.#options = options;
  }

  /** The directories are there, and empty of what an earlier process left unfinished. */
  async open(): Promise<void> {
    const { disk, directory } = this.#options;
    const outgoing = `${directory}/${OUTGOING_DIRECTORY}`;
    await disk.makeDirectory(`${directory}/${INCOMING_DIRECTORY}`);
    await disk.makeDirectory(outgoing);
    for (const name of await disk.list(outgoing)) await disk.remove(`${outgoing}/${name}`);
  }

  drive(driver: Driver): void {
    this.#driver = driver;
  }

  /** Entries behind this must stay in the log: a receiver goes on from there. */
  neededFrom(): LogIndex | undefined {
    const outgoing = this.#outgoing;
    if (outgoing === undefined) return undefined;
    const idleMs = this.#options.clock.monotonic() - outgoing.usedMs;
    if (outgoing.users === 0 && idleMs > FOLLOW_UP_MS) return undefined;
    return outgoing.index ?? this.#options.base();
  }

  send(to: MemberId): void {
    const { transport } = this.#options;
    if (transport === undefined || this.#closed || this.#sending.has(to)) return;
    const aborted = new AbortController();
    this.#sending.set(to, aborted);
    void this.#transfer(to, transport, aborted.signal);
  }

  async #transfer(to: MemberId, transport: PeerTransport, signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    let outcome: "finished" | "failed" = "failed";
    try {
      const { configuration } = this.#need().group;
      if (roleOf(configuration, to) === "witness") {
        await transport.sendSnapshot(to, this.#forWitness(), signal);
      } else await this.#sendState(to, transport, signal);
      outcome = "finished";
      logger.info("a member has got the state", { member: to });
    } catch (error) {
      if (!signal.aborted) {
        logger.warn("a member could not be given the state", { member: to, error: String(error) });
      }
    } finally {
      this.#sending.delete(to);
    }
    if (!this.#closed) this.#need().reportSnapshot(to, outcome);
  }

  async #sendState(to: MemberId, transport: PeerTransport, signal: AbortSignal): Promise<void> {
    const outgoing = this.#current(to);
    outgoing.users += 1;
    outgoing.cancelRemoval?.();
    try {
      const { snapshot } = await outgoing.file;
      await transport.sendSnapshot(to, snapshot, signal);
    } finally {
      outgoing.users -= 1;
      outgoing.usedMs = this.#options.clock.monotonic();
      const remove = (): void => void this.#remove(outgoing);
      if (outgoing.users === 0 && this.#outgoing === outgoing) {
        outgoing.cancelRemoval = this.#options.clock.after(KEEP_MS, remove);
      } else if (outgoing.users === 0) remove();
    }
  }

  /** The file in use, as long as the log goes on from it; a new one else. */
  #current(to: MemberId): Outgoing {
    const known = this.#outgoing;
    const inLog = known?.index === undefined || known.index >= this.#options.base();
    if (known?.members.has(to) === true && inLog) return known;
    if (known?.users === 0) void this.#remove(known);
    const outgoing: Outgoing = {
      members: new Set(memberIds(this.#need().group.configuration)),
      file: this.#make(),
      index: undefined,
      users: 0,
      usedMs: 0,
      cancelRemoval: undefined,
    };
    this.#outgoing = outgoing;
    outgoing.file.then(
      ({ snapshot }) => {
        outgoing.index = snapshot.point.index;
      },
      () => {
        if (this.#outgoing === outgoing) this.#outgoing = undefined;
      },
    );
    return outgoing;
  }

  async #make(): Promise<OpenFile> {
    const { take, disk, directory } = this.#options;
    if (take === undefined) throw new Error("a witness has no state to give");
    const id = this.#newId();
    const path = `${directory}/${OUTGOING_DIRECTORY}/${id}`;
    const { appliedIndex, appliedTerm, members } = await take(path);
    const group = decodeGroup(members);
    assert(group !== undefined, "a state that is given to others knows its group");
    const file = await disk.open(path);
    const bytes = await file.size();
    const point: SnapshotPoint = {
      index: appliedIndex as LogIndex,
      term: appliedTerm as Term,
      configuration: group.configuration,
    };
    const read = (offset: number, length: number) => file.read(offset, length);
    return { path, disk: file, snapshot: { point, id, bytes, read } };
  }

  /** A witness keeps no state: it gets to know where the log begins, and who is a member. */
  #forWitness(): SnapshotFile {
    const driver = this.#need();
    const { group } = driver;
    const { index, term } = driver.appliedPoint;
    const content = Buffer.from(encodeGroup(group));
    return {
      point: { index, term, configuration: group.configuration },
      id: this.#newId(),
      bytes: content.length,
      read: (offset, length) => Promise.resolve(content.subarray(offset, offset + length)),
    };
  }

  async #remove(outgoing: Outgoing): Promise<void> {
    outgoing.cancelRemoval?.();
    if (this.#outgoing === outgoing) this.#outgoing = undefined;
    try {
      const { path, disk } = await outgoing.file;
      await disk.close();
      await this.#options.disk.remove(path);
    } catch (error) {
      this.#options.logger.debug("no snapshot to remove", { error: String(error) });
    }
  }

  /** A whole state came from a peer. Resolves when it is taken over, or not needed any more. */
  async receive(from: MemberId, received: ReceivedSnapshot): Promise<void> {
    const { disk, logger } = this.#options;
    if (this.#pending !== undefined || this.#closed) {
      throw new StoreError("overloaded", "another state is being taken over");
    }
    this.#pending = received;
    try {
      await this.#whenLeading(from);
      const installed = await this.#need().offerSnapshot(from, received.point);
      if (installed) logger.info("state taken over", { from, index: received.point.index });
      else await disk.remove(received.path);
    } finally {
      this.#pending = undefined;
    }
  }

  async install(point: SnapshotPoint): Promise<GroupRecord> {
    const pending = this.#pending;
    assert(pending?.point.index === point.index, `no state arrived for entry ${point.index}`);
    return this.#options.installState(pending.path, point);
  }

  /** Only the leader of the present term is believed; its first message may still be on its way. */
  async #whenLeading(from: MemberId): Promise<void> {
    const { leadership } = this.#need();
    if (leadership.now.leader === from) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(LEADER_WAIT_MS, () => {
      reject(new StoreError("not-leader", `member ${from} sent a state and does not lead`));
    });
    const stop = leadership.listen(({ leader }) => {
      if (leader === from) resolve();
    });
    try {
      await promise;
    } finally {
      cancel();
      stop();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const sending of this.#sending.values()) sending.abort();
    if (this.#outgoing !== undefined) await this.#remove(this.#outgoing);
  }

  #newId(): string {
    return Buffer.from(this.#options.random.bytes(12)).toString("hex");
  }

  #need(): Driver {
    assert(this.#driver !== undefined, "the driver is there before any message");
    return this.#driver;
  }
}
