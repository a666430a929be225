import { assert } from "../lib/index.ts";
import { Progress } from "./progress.ts";
import { majorityValue } from "./quorum.ts";
import type { Configuration, MemberId, RaftLimits } from "./types.ts";

/** What a leader knows of all members, itself included, in the order of the configuration. */
export class Tracker {
  readonly self: Progress;
  /** Everybody but the leader. */
  peers: readonly Progress[] = [];
  /** Whether some member is a witness. */
  hasWitness = false;
  readonly #limits: RaftLimits;
  #members = new Map<MemberId, Progress>();
  #voters: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];
  readonly #scratch: number[] = [];

  constructor(self: MemberId, next: number, limits: RaftLimits) {
    this.#limits = limits;
    this.self = new Progress(self, next, limits);
    this.self.state = "replicate";
    this.self.readAck = Infinity;
  }

  configure(configuration: Configuration, next: number): void {
    const { voters, outgoing, learners, learnersNext, witnesses } = configuration;
    const known = this.#members;
    const members = new Map<MemberId, Progress>();
    for (const id of [...voters, ...outgoing, ...learners, ...learnersNext]) {
      const own = id === this.self.member ? this.self : undefined;
      const progress = own ?? known.get(id) ?? new Progress(id, next, this.#limits);
      progress.witness = witnesses.includes(id);
      members.set(id, progress);
    }
    const of = (id: MemberId): Progress => members.get(id) as Progress;
    this.#members = members;
    this.#voters = voters.map(of);
    this.#outgoing = outgoing.map(of);
    this.peers = [...members.values()].filter((progress) => progress !== this.self);
    this.hasWitness = witnesses.length > 0;
  }

  get(member: MemberId): Progress | undefined {
    return this.#members.get(member);
  }

  /** Whether the leader alone is a majority. */
  get alone(): boolean {
    return this.#voters.length === 1 && this.#voters[0] === this.self && !this.#isJoint;
  }

  decides(progress: Progress): boolean {
    return this.#voters.includes(progress) || this.#outgoing.includes(progress);
  }

  /** The last index that a majority has. */
  agreedIndex(): number {
    return Math.min(this.#majorityMatch(this.#voters), this.#majorityMatch(this.#outgoing));
  }

  /** The latest round of reads that a majority has confirmed. */
  confirmedRound(): number {
    return Math.min(this.#majorityAck(this.#voters), this.#majorityAck(this.#outgoing));
  }

  /** Whether a majority was heard since the last call. */
  takeQuorumActive(): boolean {
    this.self.active = true;
    const active = isMajorityActive(this.#voters) && isMajorityActive(this.#outgoing);
    for (const peer of this.peers) peer.active = false;
    return active;
  }

  /** The last index that every data member has, learners included. */
  heldIndex(): number {
    let held = Infinity;
    for (const progress of this.#members.values()) {
      if (!progress.witness && progress.match < held) held = progress.match;
    }
    assert(held !== Infinity, "a group has a data member");
    return held;
  }

  get #isJoint(): boolean {
    return this.#outgoing.length > 0;
  }

  #majorityMatch(members: readonly Progress[]): number {
    const scratch = this.#scratch;
    scratch.length = 0;
    for (const progress of members) scratch.push(progress.match);
    return majorityValue(scratch);
  }

  #majorityAck(members: readonly Progress[]): number {
    const scratch = this.#scratch;
    scratch.length = 0;
    for (const progress of members) scratch.push(progress.readAck);
    return majorityValue(scratch);
  }
}

function isMajorityActive(members: readonly Progress[]): boolean {
  if (members.length === 0) return true;
  let active = 0;
  for (const progress of members) if (progress.active) active++;
  return active > members.length >> 1;
}
