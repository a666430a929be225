import type { ConfigStep, MemberRole } from "../../../src/raft/index.ts";
import type { Group } from "./group.ts";
import { asMember, MAX_MEMBERS } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";
import { check } from "./violation.ts";

const MAX_PROPOSALS = 1_024;
const MIN_DATA_BYTES = 4;
const MAX_DATA_BYTES = 64;
const NOTHING = new Uint8Array();

/** Never more members at once than this; identities are not reused. */
const MOST = 5;

/** What clients and operators do with the group. */
export class Workload {
  readonly #group: Group;
  /** Data whose first four bytes are its number; made once for all seeds. */
  readonly #data: readonly Uint8Array[];
  /** Where the leader put the proposal of that number. */
  readonly #index = new Int32Array(MAX_PROPOSALS);
  readonly #term = new Int32Array(MAX_PROPOSALS);
  #proposals = 0;
  #nextMember = 0;

  constructor(group: Group) {
    this.#group = group;
    this.#data = Array.from({ length: MAX_PROPOSALS }, (_, number) => {
      const spread = (number * 7) % (MAX_DATA_BYTES - MIN_DATA_BYTES);
      const data = new Uint8Array(MIN_DATA_BYTES + spread);
      new DataView(data.buffer).setUint32(0, number + 0x1_0000, true);
      return data;
    });
  }

  reset(firstNewMember: number): void {
    this.#proposals = 0;
    this.#nextMember = firstNewMember;
  }

  /** @param options.calm nobody changes the members or who leads any more */
  operate(options: { readonly calm: boolean }): void {
    const { prng } = this.#group;
    const dice = prng.below(1_000);
    if (dice < 600) this.propose();
    else if (dice < 880) this.#read();
    else if (dice < 940) this.#compact();
    else if (options.calm) this.propose();
    else if (dice < 960) this.#transfer();
    else if (dice < 965) this.#campaign();
    else this.#reconfigure();
  }

  propose(): void {
    const group = this.#group;
    const member = group.prng.permille(850) ? this.#leader() : this.#anyone();
    // Bursts make logs that differ by more than an entry, and windows that fill.
    const burst = group.prng.permille(100) ? 2 + group.prng.below(10) : 1;
    if (member === undefined) return;
    for (let count = 0; count < burst; count++) this.proposeAt(member);
  }

  /** The index that the proposal got, or 0. */
  proposeAt(member: SimMember): number {
    const group = this.#group;
    if (member.core === undefined || this.#proposals >= MAX_PROPOSALS) return 0;
    const number = this.#proposals;
    const result = member.core.propose(this.#data[number] as Uint8Array);
    if (result.type === "accepted") {
      this.#index[number] = result.index;
      this.#term[number] = result.term;
      this.#proposals += 1;
      group.statistics.count("proposed");
    }
    group.after(member);
    return result.type === "accepted" ? result.index : 0;
  }

  /** Every accepted proposal is committed where its leader put it, or never will be. */
  verify(): number {
    const { ledger } = this.#group;
    let acknowledged = 0;
    for (let number = 0; number < this.#proposals; number++) {
      const index = this.#index[number] as number;
      if (ledger.committedTerm(index) !== this.#term[number]) continue;
      acknowledged += 1;
      check(
        ledger.committedData(index) === number + 0x1_0000,
        "state machine safety",
        () => `proposal ${number} was put at ${index}, where something else is committed`,
      );
    }
    return acknowledged;
  }

  #read(): void {
    const member = this.#anyone();
    if (member !== undefined) this.#group.read(member);
  }

  #compact(): void {
    const member = this.#anyone();
    if (member !== undefined) this.#group.compact(member);
  }

  #transfer(): void {
    const member = this.#leader();
    const to = this.#anyone();
    if (member?.core === undefined || to === undefined) return;
    this.#group.statistics.count("leadership transfer");
    member.core.transferLeadership(asMember(to.id));
    this.#group.after(member);
  }

  #campaign(): void {
    const member = this.#anyone();
    member?.core?.campaign();
    if (member !== undefined) this.#group.after(member);
  }

  #reconfigure(): void {
    const group = this.#group;
    const member = this.#leader();
    // Nobody takes members out while one of them is repaired.
    if (member?.core === undefined || group.members.some(isDamaged)) return;
    const steps: ConfigStep[] = [];
    const wanted = group.prng.permille(600) ? 1 : 2 + group.prng.below(2);
    for (let at = 0; at < wanted; at++) {
      const step = this.#step(member);
      if (step !== undefined && !steps.some((other) => other.member === step.member)) {
        steps.push(step);
      }
    }
    const leaving = group.ledger.configurationAt(member.appliedIndex).outgoing.length > 0;
    if (steps.length === 0 && !leaving) return;
    const result = member.core.proposeConfig({ steps: leaving ? [] : steps, context: NOTHING });
    if (result.type === "accepted") {
      group.statistics.count("configuration change");
      if (steps.length > 1) group.statistics.count("joint change");
      if (group.trace.recording) {
        group.trace.line(`${group.queue.step} ${member.id} proposes ${JSON.stringify(steps)}`);
      }
      for (const step of steps) this.#welcome(step);
    }
    group.after(member);
  }

  #step(leader: SimMember): ConfigStep | undefined {
    const { ledger, prng } = this.#group;
    const { voters, learners, witnesses } = ledger.configurationAt(leader.appliedIndex);
    const dice = prng.below(100);
    const learner = prng.pick(learners);
    const voter = prng.pick(voters);
    if (dice < 30 && voters.length + learners.length < MOST) return this.#newcomer();
    if (dice < 60 && learner !== undefined) {
      return { type: "add", member: learner, role: "voter" };
    }
    // Two members that store must remain, so that damage to one of them is no loss.
    const storing = voters.length - witnesses.length;
    if (voter === undefined || (storing <= 2 && !witnesses.includes(voter))) return undefined;
    if (dice < 85 || witnesses.includes(voter)) return { type: "remove", member: voter };
    return { type: "add", member: voter, role: "learner" };
  }

  #newcomer(): ConfigStep | undefined {
    if (this.#nextMember >= MAX_MEMBERS) return undefined;
    const roles: readonly MemberRole[] = ["learner", "learner", "voter", "witness"];
    const member = asMember(this.#nextMember);
    return { type: "add", member, role: this.#group.prng.pick(roles) ?? "learner" };
  }

  /** A newcomer's process starts with an empty disk. */
  #welcome(step: ConfigStep): void {
    const { members, statistics } = this.#group;
    const member = members[step.member] as SimMember;
    if (member.exists || step.type === "remove") return;
    if (step.role === "witness") statistics.count("witness");
    this.#nextMember = step.member + 1;
    this.#group.start(member);
  }

  #leader(): SimMember | undefined {
    const { members, prng } = this.#group;
    const leaders = members.filter((member) => member.leading !== 0 && !member.paused);
    return prng.pick(leaders) ?? this.#anyone();
  }

  #anyone(): SimMember | undefined {
    const { members, prng } = this.#group;
    // A few draws instead of a list: most members run.
    for (let tries = 0; tries < 8; tries++) {
      const member = members[1 + prng.below(MAX_MEMBERS - 1)] as SimMember;
      if (member.core !== undefined && !member.paused) return member;
    }
    return undefined;
  }
}

function isDamaged({ disk }: SimMember): boolean {
  return disk.recoverTo > 0;
}
