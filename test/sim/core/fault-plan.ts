import type { Group } from "./group.ts";
import { asMember } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";

/** Faults last so many steps at most; most are much shorter. */
const MAX_FAULT_STEPS = 600;

/** What can happen, with its weight. */
const KINDS = [
  { kind: "partition", weight: 4 },
  { kind: "asymmetric", weight: 3 },
  { kind: "cut-off", weight: 4 },
  { kind: "storm", weight: 4 },
  { kind: "crash", weight: 6 },
  { kind: "crash-all", weight: 1 },
  { kind: "damage", weight: 1 },
  { kind: "slow-disk", weight: 2 },
  { kind: "pause", weight: 3 },
  { kind: "jump", weight: 2 },
  { kind: "drift", weight: 2 },
] as const;

type Kind = (typeof KINDS)[number]["kind"];

const WEIGHED: readonly Kind[] = KINDS.flatMap(({ kind, weight }) =>
  Array.from({ length: weight }, () => kind),
);

/** How a fault ends; the number of the event that ends it. */
export const MEND_NETWORK = 1;
export const CALM_NETWORK = 2;
/** Plus the member. */
export const RESTART = 16;
export const RESUME = 32;
export const QUICK_DISK = 48;

/** Strikes a running group, and undoes what it did. */
export class FaultPlan {
  readonly #group: Group;
  readonly #later: (delay: number, what: number) => void;

  constructor(group: Group, later: (delay: number, what: number) => void) {
    this.#group = group;
    this.#later = later;
  }

  strike(): void {
    const { prng } = this.#group;
    const kind = prng.pick(WEIGHED) as Kind;
    const duration = prng.permille(700) ? 20 + prng.below(150) : prng.below(MAX_FAULT_STEPS);
    const member = this.#someone();
    if (member === undefined) return;
    if (this.#group.trace.recording) {
      this.#group.trace.line(`${this.#group.queue.step} fault ${kind} ${member.id} ${duration}`);
    }
    this.#do(kind, member, duration);
  }

  /** Ends one fault. */
  undo(what: number): void {
    const { members, network } = this.#group;
    if (what === MEND_NETWORK) network.mend();
    else if (what === CALM_NETWORK) {
      network.loss = 0;
      network.duplication = 0;
      network.jitter = 0;
    } else if (what >= QUICK_DISK) (members[what - QUICK_DISK] as SimMember).diskSteps = 2;
    else if (what >= RESUME) this.#group.resume(members[what - RESUME] as SimMember);
    else this.restart(members[what - RESTART] as SimMember);
  }

  restart(member: SimMember): void {
    if (!member.exists || member.core !== undefined) return;
    this.#group.statistics.count("restart");
    this.#group.start(member);
  }

  /** Everything works from here on. */
  end(): void {
    const { members, network } = this.#group;
    network.heal();
    for (const member of members) {
      this.#group.resume(member);
      member.diskSteps = 2;
      member.tickSteps = 10;
      this.restart(member);
    }
  }

  #do(kind: Kind, member: SimMember, duration: number): void {
    const group = this.#group;
    const { prng, statistics } = group;
    if (kind === "crash") this.#crash(member, duration);
    else if (kind === "crash-all") {
      for (const each of group.members)
        if (each.exists) this.#crash(each, prng.below(duration + 1));
    } else if (kind === "damage") this.#damage(member, duration);
    else if (kind === "slow-disk") {
      statistics.count("slow disk");
      member.diskSteps = 20 + prng.below(80);
      this.#later(duration, QUICK_DISK + member.id);
    } else if (kind === "pause") {
      group.pause(member);
      this.#later(duration, RESUME + member.id);
    } else if (kind === "jump") {
      statistics.count("clock jump");
      for (let ticks = 1 + prng.below(40); ticks > 0; ticks--) group.tick(member);
    } else if (kind === "drift") {
      statistics.count("clock drift");
      member.tickSteps = 6 + prng.below(10);
    } else this.#spoilNetwork(kind, member, duration);
  }

  #spoilNetwork(
    kind: "partition" | "asymmetric" | "cut-off" | "storm",
    member: SimMember,
    duration: number,
  ): void {
    const { network, prng, statistics } = this.#group;
    if (kind === "storm") {
      network.loss = prng.pick([0, 50, 200, 500]) ?? 0;
      network.duplication = prng.pick([0, 50, 300]) ?? 0;
      network.jitter = prng.pick([0, 5, 30, 100, 300]) ?? 0;
      this.#later(duration, CALM_NETWORK);
      return;
    }
    network.mend();
    if (kind === "cut-off") {
      statistics.count("member cut off");
      network.partition(1 << member.id, "both");
    } else {
      const set = prng.next() & 0xff;
      const both = kind === "partition";
      statistics.count(both ? "partition" : "asymmetric partition");
      network.partition(set, both ? "both" : "outwards");
    }
    this.#later(duration, MEND_NETWORK);
  }

  #crash(member: SimMember, duration: number): void {
    if (member.core === undefined) return;
    this.#group.crash(member);
    for (const other of this.#group.members) {
      // A broken connection tells the others.
      if (other.core === undefined || other.paused || !this.#group.prng.permille(500)) continue;
      other.core.reportUnreachable(asMember(member.id));
      this.#group.after(other);
    }
    this.#later(1 + duration, RESTART + member.id);
  }

  /** Bit rot takes the end of a log; never of two members at once, which may lose what it likes. */
  #damage(member: SimMember, duration: number): void {
    const { members, prng, statistics } = this.#group;
    const { disk } = member;
    if (members.some((other) => other.disk.recoverTo > 0)) return;
    // It may not vote before it is whole again, and a group of two needs every vote.
    const { ledger } = this.#group;
    const { voters, witnesses } = ledger.configurationAt(ledger.committed);
    if (voters.length < 3 || voters.length - witnesses.length < 2) return;
    if (members.some((other) => other.mayReconfigure(ledger.reconfiguredAt))) return;
    // Nor may the others be found by an old configuration only: nobody would ask the right ones.
    const isLate = (id: number): boolean =>
      (members[id] as SimMember).appliedIndex < ledger.reconfiguredAt;
    if (voters.some(isLate)) return;
    this.#crash(member, duration);
    if (member.core !== undefined || disk.entries.length === 0) return;
    const first = Math.max(disk.compactedIndex, disk.appliedIndex) + 1;
    if (first > disk.lastIndex) return;
    statistics.count("log damaged");
    disk.damage(prng.between(first, disk.lastIndex));
  }

  #someone(): SimMember | undefined {
    const { members, prng } = this.#group;
    // Often the leader: that is where it hurts.
    if (prng.permille(400)) {
      const leader = members.find((member) => member.leading !== 0 && !member.paused);
      if (leader !== undefined) return leader;
    }
    return prng.pick(members.filter((member) => member.core !== undefined && !member.paused));
  }
}
