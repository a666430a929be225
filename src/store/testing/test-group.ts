import {
  assert,
  drainMicrotasks,
  ManualClock,
  SeededRandom,
  silentLogger,
} from "../../lib/index.ts";
import { MemoryState, stateHash, StateMachine } from "../../mvcc/index.ts";
import type { MemberId, MemberRole } from "../../raft/index.ts";
import type { GroupStart } from "../group-options.ts";
import { openStore } from "../open-store.ts";
import type { StoreLimits } from "../open-store.ts";
import { openWitness } from "../open-witness.ts";
import type { Witness } from "../open-witness.ts";
import type { Member, Store } from "../store.ts";
import { TICK_MS } from "../ticker.ts";
import { diskFiles } from "./disk-files.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import type { CrashKind, Faults } from "./faulty-disk.ts";
import { MemoryNetwork } from "./memory-network.ts";

export const TEST_CLUSTER = "cluster-of-a-test";

/** A member of a {@link TestGroup}: its disk and state outlive its process. */
export interface TestMember {
  readonly id: MemberId;
  readonly store: Store;
  readonly disk: FaultyDisk;
  readonly faults: Faults;
  readonly storage: MemoryState;
  readonly fatal: Error[];
  removed: boolean;
}

/** Several stores in one process: one clock, one network, one seed. */
export class TestGroup {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork();
  readonly random: SeededRandom;
  readonly members = new Map<MemberId, TestMember>();
  readonly witnesses = new Map<MemberId, Witness>();
  readonly #witnessDisks = new Map<MemberId, FaultyDisk>();
  readonly #limits: StoreLimits;

  constructor(options: { readonly seed?: number; readonly limits?: StoreLimits } = {}) {
    this.random = new SeededRandom(options.seed ?? 1);
    // A disk that is full has no space left in the log either.
    this.#limits = { growthBytes: 0, ...options.limits };
  }

  /** A group of so many voters with ids from 1; the first one leads. */
  static async of(
    voters: number,
    options: { readonly seed?: number; readonly limits?: StoreLimits } = {},
  ): Promise<TestGroup> {
    const group = new TestGroup(options);
    await group.open(1);
    for (let id = 2; id <= voters; id++) await group.join(id);
    return group;
  }

  async open(id: number, options: OpenMember = {}): Promise<TestMember> {
    const member = id as MemberId;
    const faults = options.faults ?? {};
    const disk = new FaultyDisk(this.random, faults, options.files);
    const storage = new MemoryState(options.image, diskFiles(disk));
    const fatal: Error[] = [];
    const transport = this.network.transport(member, diskFiles(disk));
    const opened: { member?: TestMember } = {};
    const store = await openStore({
      directory: "/data",
      disk,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      storage,
      limits: this.#limits,
      onFatal: (error) => fatal.push(error),
      group: {
        self: memberOf(id),
        clusterId: TEST_CLUSTER,
        ...options.known,
        transport,
        start: options.start ?? { type: "bootstrap" },
        onRemoved: () => {
          if (opened.member !== undefined) opened.member.removed = true;
        },
      },
    });
    const known = { id: member, store, disk, faults, storage, fatal, removed: false };
    opened.member = known;
    this.members.set(member, known);
    return known;
  }

  /** Adds a learner, opens its store, and waits until it votes. */
  async join(id: number): Promise<TestMember> {
    const { store } = this.leader();
    await this.during(store.membership.add(memberOf(id)));
    const start: GroupStart = { type: "join", members: store.membership.members() };
    const joined = await this.open(id, { start });
    await this.until(`member ${id} votes`, () => this.roleOf(id) === "voter");
    return joined;
  }

  async joinWitness(id: number): Promise<Witness> {
    const { store } = this.leader();
    const adding = store.membership.add(memberOf(id, "witness"));
    const witness = await this.openWitness(id, {
      start: { type: "join", members: store.membership.members() },
    });
    await this.during(adding);
    return witness;
  }

  async openWitness(id: number, options: OpenMember = {}): Promise<Witness> {
    const disk = new FaultyDisk(this.random, options.faults ?? {}, options.files);
    const witness = await openWitness({
      directory: "/data",
      disk,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      limits: this.#limits,
      group: {
        self: memberOf(id, "witness"),
        clusterId: TEST_CLUSTER,
        transport: this.network.transport(id as MemberId, diskFiles(disk)),
        start: options.start ?? { type: "restart" },
      },
    });
    this.witnesses.set(id as MemberId, witness);
    this.#witnessDisks.set(id as MemberId, disk);
    return witness;
  }

  /** Power is cut; gives what is on the disk. */
  crashWitness(id: number): Map<string, Uint8Array> {
    const disk = this.#witnessDisks.get(id as MemberId);
    assert(disk !== undefined, `no witness ${id} runs`);
    this.witnesses.delete(id as MemberId);
    this.network.stop(id as MemberId);
    return disk.afterCrash("power");
  }

  /** The process ends at once; what it leaves behind can be opened again. */
  crash(id: number, kind: CrashKind = "kill"): Left {
    const member = this.member(id);
    this.members.delete(member.id);
    const files = member.disk.afterCrash(kind);
    const image = kind === "kill" ? member.storage.db.serialize() : member.storage.image();
    this.network.stop(member.id);
    return { files, image };
  }

  restart(id: number, left: Left, faults: Faults = {}): Promise<TestMember> {
    return this.open(id, { ...left, faults, start: { type: "restart" } });
  }

  member(id: number): TestMember {
    const member = this.members.get(id as MemberId);
    assert(member !== undefined, `no member ${id} runs`);
    return member;
  }

  /** The member that leads and knows it; the one of the latest term. */
  leader(): TestMember {
    const leader = this.findLeader();
    assert(leader !== undefined, "nobody leads");
    return leader;
  }

  findLeader(): TestMember | undefined {
    const leading = [...this.members.values()].filter(({ store }) => store.leadership.self);
    return leading.sort((a, b) => b.store.leadership.term - a.store.leadership.term)[0];
  }

  /** Lets time pass until a member other than this one leads. */
  async another(id: MemberId): Promise<TestMember> {
    await this.until("another one leads", () => (this.findLeader()?.id ?? id) !== id);
    return this.leader();
  }

  followers(): TestMember[] {
    const { id } = this.leader();
    return [...this.members.values()].filter((member) => member.id !== id);
  }

  roleOf(id: number): MemberRole | undefined {
    const members = this.findLeader()?.store.membership.members() ?? [];
    return members.find((member) => member.id === id)?.role;
  }

  /** Every member's state as its file has it; all that is applied is there. */
  async hashes(): Promise<string[]> {
    const hashes: string[] = [];
    for (const { store, storage } of this.members.values()) {
      await this.during(store.snapshot("/hashed"));
      hashes.push(stateHash(new StateMachine({ db: storage.db })));
    }
    return hashes;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms, TICK_MS / 2);
  }

  /** Lets time pass until it is so. */
  async until(what: string, holds: () => boolean, withinMs = 30_000): Promise<void> {
    for (let passed = 0; !holds(); passed += TICK_MS) {
      if (passed > withinMs) throw new Error(`after ${withinMs} ms it is not so: ${what}`);
      await this.pass(TICK_MS);
    }
  }

  /** Lets time pass until the promise is settled. */
  async during<Result>(promise: Promise<Result>, withinMs = 30_000): Promise<Result> {
    const settled = new AbortController();
    const settle = (): void => settled.abort();
    promise.then(settle, settle);
    await drainMicrotasks();
    await this.until("the promise is settled", () => settled.signal.aborted, withinMs);
    return promise;
  }

  async close(): Promise<void> {
    for (const { store } of this.members.values()) await this.during(store.close());
    for (const witness of this.witnesses.values()) await this.during(witness.close());
  }
}

export interface Left {
  readonly files: Map<string, Uint8Array>;
  readonly image: Buffer | undefined;
}

export interface OpenMember {
  readonly files?: Map<string, Uint8Array>;
  readonly image?: Buffer | undefined;
  readonly faults?: Faults;
  readonly start?: GroupStart;
  /** Whom the directory belongs to, when it is not what the group gives out. */
  readonly known?: { readonly self: Member; readonly clusterId: string };
}

export function memberOf(id: number, role: MemberRole = "voter"): Member {
  return {
    id: id as MemberId,
    name: `server-${id}`,
    role,
    peerAddress: `127.0.0.1:${10_000 + id}`,
    apiAddress: role === "witness" ? "" : `https://127.0.0.1:${6_000 + id}`,
  };
}
