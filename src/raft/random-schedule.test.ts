import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import type { Disk } from "./testing/group.ts";
import { configurationOf, emptyDisk, TestMember } from "./testing/group.ts";
import type { Configuration, ConfigStep, Message, RaftCore } from "./types.ts";

const SEEDS = Number(process.env["RAFT_SEEDS"] ?? 150);
const FIRST_SEED = Number(process.env["RAFT_FIRST_SEED"] ?? 1);
const STEPS = 1_500;
const LIMITS = {
  electionTicks: 5,
  maxAppendBytes: 300,
  maxInflightAppends: 4,
  maxInflightBytes: 2_000,
  maxMemoryLogBytes: 700,
  maxUncommittedBytes: 3_000,
  maxCommittedBytes: 500,
  maxPendingReads: 8,
};

/** Counts how often each thing happened, so that a schedule that does nothing is noticed. */
type Counts = Record<string, number>;

interface OpenRead {
  readonly atLeast: number;
}

/** Members under a random schedule, and the safety properties of figure 3.2 after each step. */
class Schedule {
  readonly #random: SeededRandom;
  readonly #members = new Map<number, TestMember>();
  readonly #disks = new Map<number, Disk>();
  /** Of damaged members: the last entry that they had. */
  readonly #recoverTo = new Map<number, number>();
  #network: Message[] = [];
  /** What each index was applied as, anywhere. */
  readonly #history: string[] = [];
  readonly #leaders = new Map<number, number>();
  readonly #reads = new Map<number, OpenRead>();
  #cut = new Set<string>();
  #loss = 0.05;
  #highestCommit = 0;
  #nextContext = 1;
  #nextMember = 10;
  readonly counts: Counts = {};

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const shape = randomInteger(this.#random, 4);
    const configuration = [
      configurationOf([1, 2, 3]),
      configurationOf([1, 2, 3], { witnesses: [3] }),
      configurationOf([1, 2, 3, 4, 5], { witnesses: [5] }),
      configurationOf([1]),
    ][shape] as Configuration;
    for (const id of configuration.voters) this.#start(id, emptyDisk(configuration));
  }

  #below(bound: number): number {
    return randomInteger(this.#random, bound);
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #start(id: number, disk: Disk, recoverTo?: number): void {
    const draw = (below: number) => this.#below(below);
    const started = new TestMember({
      id,
      disk,
      draw,
      limits: LIMITS,
      memory: this.#below(4),
      ...(recoverTo === undefined ? {} : { recoverTo }),
    });
    this.#disks.set(id, disk);
    this.#members.set(id, started);
    if (disk.applied.configuration.voters.length === 1) started.core.campaign();
  }

  #pick(): TestMember {
    const all = [...this.#members.values()];
    return all[this.#below(all.length)] as TestMember;
  }

  #leader(): RaftCore | undefined {
    let found: RaftCore | undefined;
    for (const { core } of this.#members.values()) {
      if (core.role === "leader" && (found === undefined || core.term > found.term)) found = core;
    }
    return found;
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#act();
      this.#check();
    }
    this.#heal();
  }

  #act(): void {
    const dice = this.#below(1_000);
    if (dice < 330) this.#deliver();
    else if (dice < 600) this.#drive(this.#pick());
    else if (dice < 800) this.#pick().core.tick();
    else if (dice < 900) this.#propose();
    else if (dice < 940) this.#read();
    else if (dice < 949) this.#restart(this.#pick());
    else if (dice < 950) this.#damage(this.#pick());
    else if (dice < 960) this.#compact(this.#pick());
    else if (dice < 968) this.#partition();
    else if (dice < 980) this.#cut.clear();
    else if (dice < 990) this.#changeMembers();
    else if (dice < 994) this.#transfer();
    else if (dice < 997) this.#pick().core.reportUnreachable(this.#pick().id);
    else this.#loss = this.#below(3) / 10;
  }

  #drive(target: TestMember): void {
    if (target.outstanding !== undefined) this.#send(target.finish());
    else if (target.core.hasReady()) this.#send(target.take());
    else this.#send(target.core.early());
    this.#collectReads(target);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      const dice = this.#below(1_000) / 1_000;
      const isCut = this.#cut.has(`${message.from}>${message.to}`);
      if (isCut || dice < this.#loss || this.#network.length > 400) {
        if (message.type === "install-snapshot") {
          this.#members.get(message.from)?.core.reportSnapshot(message.to, "failed");
        }
        continue;
      }
      this.#network.push(message);
      if (dice > 0.97) this.#network.push(message);
    }
  }

  #deliver(): void {
    if (this.#network.length === 0) return;
    // Mostly in order, sometimes any.
    const place = this.#below(4) === 0 ? this.#below(this.#network.length) : 0;
    const [message] = this.#network.splice(place, 1) as [Message];
    this.#count(message.type);
    const sender = this.#members.get(message.from);
    if (message.type === "install-snapshot" && sender !== undefined) {
      // The state that is sent is the sender's of this moment.
      const point = sender.disk.applied;
      const receiver = this.#members.get(message.to)?.core;
      // Its driver may only know of the state, not of the term in which it was sent.
      const term = this.#below(2) === 0 ? message.term : (receiver?.term ?? message.term);
      receiver?.step({ ...message, term, snapshot: point });
      const outcome = this.#below(4) === 0 ? "failed" : "finished";
      sender.core.reportSnapshot(message.to, outcome);
      return;
    }
    this.#members.get(message.to)?.core.step(message);
  }

  #propose(): void {
    const target = this.#below(5) === 0 ? this.#pick().core : (this.#leader() ?? this.#pick().core);
    const data = new Uint8Array(1 + this.#below(200)).fill(this.#below(256));
    this.#count(`propose: ${target.propose(data).type}`);
  }

  #read(): void {
    const target = this.#pick();
    const context = this.#nextContext++;
    this.#reads.set(context, { atLeast: this.#highestCommit });
    target.core.readIndex(context);
  }

  #collectReads(target: TestMember): void {
    for (const { context, index } of target.reads.splice(0)) {
      const asked = this.#reads.get(context);
      expect(asked).toBeDefined();
      expect(index).toBeGreaterThanOrEqual(asked?.atLeast ?? Infinity);
      this.#count("read");
    }
  }

  #restart(target: TestMember): void {
    this.#count("restart");
    const { disk } = target;
    // That the log is damaged is remembered until it is whole.
    const isDamaged = target.core.status().recovering;
    this.#start(target.id, disk, isDamaged ? this.#recoverTo.get(target.id) : undefined);
  }

  /** The end of the log, behind what was applied, is unreadable after a restart. */
  #damage(target: TestMember): void {
    const { disk } = target;
    const enough = disk.applied.configuration.voters.length >= 3;
    const last = disk.log.at(-1)?.index ?? 0;
    const others = [...this.#members.values()].some(({ core }) => core.status().recovering);
    if (!enough || others || last <= disk.applied.index) return;
    const keep = disk.applied.index + this.#below(last - disk.applied.index);
    disk.log = disk.log.filter((entry) => entry.index <= keep);
    this.#recoverTo.set(target.id, last);
    this.#start(target.id, disk, last);
    this.#count("damage");
  }

  #compact(target: TestMember): void {
    const { disk } = target;
    const limit = target.core.status().applied;
    const witness = disk.applied.configuration.witnesses.includes(target.id);
    const last = witness ? Math.min(limit, target.core.held) : limit;
    // The harness knows the configuration at the applied entry only.
    const isLatest = last === disk.applied.index;
    if (!isLatest || last <= disk.compacted.index || target.outstanding !== undefined) return;
    target.compact(last);
    this.#count("compact");
  }

  #partition(): void {
    const from = this.#pick().id;
    for (const to of this.#members.keys()) {
      this.#cut.add(`${from}>${to}`);
      if (this.#below(2) === 0) this.#cut.add(`${to}>${from}`);
    }
  }

  #changeMembers(): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    const { configuration } = leader.status();
    const count = this.#below(3) === 0 ? 2 : 1;
    const steps = Array.from({ length: count }, () => this.#randomStep(configuration));
    const result = leader.proposeConfig({ steps, context: new Uint8Array(0) });
    this.#count(`config: ${result.type}`);
    for (const step of steps) {
      if (step.type !== "add" || this.#members.has(step.member)) continue;
      if (result.type === "accepted") this.#start(step.member, emptyDisk(configurationOf([])));
    }
  }

  #randomStep(configuration: Configuration): ConfigStep {
    const { voters, learners } = configuration;
    const members = [...voters, ...learners];
    const member = members[this.#below(members.length)] as Message["to"];
    const kind = this.#below(6);
    if (kind === 0 && members.length > 3) return { type: "remove", member };
    if (kind === 1 && members.length < 6) {
      return { type: "add", member: this.#nextMember++ as Message["to"], role: "learner" };
    }
    if (kind === 2 && members.length < 6) {
      return { type: "add", member: this.#nextMember++ as Message["to"], role: "voter" };
    }
    if (kind === 3) return { type: "add", member, role: "learner" };
    return { type: "add", member: learners[0] ?? member, role: "voter" };
  }

  #transfer(): void {
    this.#leader()?.transferLeadership(this.#pick().id);
  }

  #check(): void {
    for (const { core, disk, id } of this.#members.values()) {
      if (core.role === "leader") {
        const known = this.#leaders.get(core.term);
        expect(known ?? id).toBe(id);
        if (known === undefined) {
          this.#leaders.set(core.term, id);
          this.#count("leader");
          const { configuration } = core.status();
          if (configuration.witnesses.includes(id)) this.#count("witness leads");
        }
      }
      this.#highestCommit = Math.max(
        this.#highestCommit,
        core.role === "leader" ? disk.applied.index : 0,
      );
      this.#checkApplied(disk);
    }
  }

  /** State machine safety: what was applied at an index is the same everywhere. */
  #checkApplied(disk: Disk): void {
    const { index, term } = disk.applied;
    const entry = disk.log[index - disk.compacted.index - 1];
    const text = entry === undefined ? `${term}` : `${entry.term}`;
    this.#history[index] ??= text;
    if (this.#history[index] !== text) {
      throw new Error(`entry ${index} is of term ${text} and ${this.#history[index]}`);
    }
  }

  /** Without faults, everybody who belongs to the group comes to the same state. */
  #heal(): void {
    this.#cut.clear();
    this.#loss = 0;
    for (let round = 0; round < 6_000; round++) {
      for (const target of this.#members.values()) {
        if (round % 10 === 0) target.core.tick();
        this.#drive(target);
        this.#drive(target);
      }
      while (this.#network.length > 0) this.#deliver();
      this.#check();
      if (round % 100 === 99 && this.#isSettled()) {
        this.#count("settled");
        return;
      }
    }
    // A damaged member that decides with too few others waits for them for ever, and has to.
    const isStuck = [...this.#members.values()].some(({ core }) => core.status().recovering);
    if (isStuck) {
      this.#count("stuck by damage");
      return;
    }
    const states = [...this.#members.values()].map(({ core }) => JSON.stringify(core.status()));
    throw new Error(`no agreement after the faults:\n${states.join("\n")}`);
  }

  #isSettled(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { configuration, commit, lastIndex } = leader.status();
    if (commit !== lastIndex || configuration.outgoing.length > 0) return false;
    if (configuration.witnesses.includes(leader.id)) return false;
    return [...configuration.voters, ...configuration.learners].every((id) => {
      const disk = this.#disks.get(id);
      return disk !== undefined && disk.applied.index === commit;
    });
  }
}

describe("createRaft", () => {
  test("createRaft: agrees on one log under random faults, and settles when they stop", () => {
    const totals: Counts = {};
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const schedule = new Schedule(seed);
      try {
        schedule.run();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      for (const [what, count] of Object.entries(schedule.counts)) {
        totals[what] = (totals[what] ?? 0) + count;
      }
    }
    if (process.env["RAFT_COUNTS"] === "1") console.log(totals);
    const expected = ["leader", "read", "install-snapshot", "config: accepted", "compact"];
    for (const what of [...expected, "witness leads", "damage"]) {
      expect([what, (totals[what] ?? 0) > 0]).toEqual([what, true]);
    }
    const stuck = totals["stuck by damage"] ?? 0;
    expect((totals["settled"] ?? 0) + stuck).toBe(SEEDS);
    expect(stuck).toBeLessThan(SEEDS / 20);
  }, 60_000);
});
