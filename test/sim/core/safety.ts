import type { Message, Ready } from "../../../src/raft/index.ts";
import type { Ledger } from "./ledger.ts";
import { quorumOf } from "./majority.ts";
import type { SimMember } from "./sim-member.ts";
import type { CoreStatistics } from "./core-statistics.ts";
import { check } from "./violation.ts";

/**
 * Looks at everything that a member does, from outside: the five properties of figure 3.2 of Raft's
 * dissertation, and the rules they rest on, so that a broken rule is seen where it breaks.
 */
export class Safety {
  readonly #ledger: Ledger;
  readonly #members: readonly SimMember[];
  readonly #statistics: CoreStatistics;

  constructor(ledger: Ledger, members: readonly SimMember[], statistics: CoreStatistics) {
    this.#ledger = ledger;
    this.#members = members;
    this.#statistics = statistics;
  }

  /** After every call into a core. */
  afterCall(member: SimMember): void {
    const { core } = member;
    if (core === undefined) return;
    if (core.role !== "leader") {
      member.leading = 0;
      return;
    }
    const { term } = core;
    if (member.leading === term) return;
    member.leading = term;
    member.freshLeader = true;
    member.promised = this.#ledger.promisedTo(term);
    this.#ledger.leads(member.id, term);
    this.#statistics.count("leader elected");
    const yes = member.grantTerm === term ? member.grants : 0;
    check(
      this.#agree(member, yes),
      "elected by quorum",
      () => `member ${member.id} leads term ${term} with the votes of set ${yes.toString(2)}`,
    );
  }

  /** Before the ready is written; `member.writing` is not this one yet. */
  beforeWrite(member: SimMember, ready: Ready): void {
    const { entries, hardState, snapshot } = ready;
    const { disk } = member;
    if (hardState !== undefined) {
      check(
        hardState.term > disk.term ||
          (hardState.term === disk.term && (disk.vote === 0 || disk.vote === hardState.vote)),
        "one vote a term",
        () =>
          `member ${member.id} replaces term ${disk.term} vote ${disk.vote} by ` +
          `term ${hardState.term} vote ${hardState.vote}`,
      );
    }
    if (snapshot !== undefined) {
      check(
        snapshot.index > member.appliedIndex,
        "state machine safety",
        () => `member ${member.id} goes back from ${member.appliedIndex} to ${snapshot.index}`,
      );
      this.#ledger.commits(member.id, snapshot.index, snapshot.term, member.core?.term ?? 0);
      this.#ledger.agrees(member.id, snapshot.index, snapshot.configuration);
    }
    const first = entries[0];
    if (first === undefined) return;
    check(
      member.leading === 0 || member.freshLeader || first.index > disk.lastIndex,
      "leader append-only",
      () => `leader ${member.id} replaces its own entry ${first.index} of ${disk.lastIndex}`,
    );
    const base = snapshot ?? { index: -1, term: 0 };
    let before = base.index === first.index - 1 ? base.term : disk.termAt(first.index - 1);
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at] as (typeof entries)[number];
      check(before !== undefined, "log matching", () => `a gap before ${entry.index}`);
      const had = disk.termAt(entry.index);
      check(
        had === undefined || had === entry.term || had !== this.#ledger.committedTerm(entry.index),
        "log never lost",
        () => `member ${member.id} replaces ${entry.index}, which is committed`,
      );
      this.#ledger.entered(entry, before);
      before = entry.term;
    }
  }

  /** As soon as the ready is known; `member.writing` is this one. */
  afterReady(member: SimMember, ready: Ready): void {
    const commit = ready.hardState?.commit ?? 0;
    if (commit > 0) this.commits(member, commit);
    if (member.leading === 0 || !member.freshLeader) return;
    member.freshLeader = false;
    const { promised } = member;
    const term = member.termAt(promised);
    check(
      term === this.#ledger.committedTerm(promised) || promised < member.disk.compactedIndex,
      "leader completeness",
      () =>
        `leader ${member.id} of term ${member.leading} has term ${term} at ${promised}, which ` +
        `is committed with term ${this.#ledger.committedTerm(promised)}`,
    );
  }

  /** As it leaves: what it tells must be durable here. */
  sends(member: SimMember, message: Message): void {
    const { disk } = member;
    if (message.type === "pre-vote-request" || message.type === "pre-vote-response") return;
    const { term, type } = message;
    check(
      disk.term >= term,
      "durable before told",
      () => `member ${member.id} sends ${type} of term ${term}, durable is ${disk.term}`,
    );
    if (type === "append-request") {
      this.commits(member, message.commit);
    } else if (type === "append-response") {
      check(
        message.refused !== undefined || term !== disk.term || message.index <= disk.lastIndex,
        "durable before told",
        () => `member ${member.id} acknowledges ${message.index}, durable is ${disk.lastIndex}`,
      );
    } else if (type === "vote-response") {
      if (message.granted) {
        this.#vote(member, term, message.to);
        if (disk.recoverTo > 0) votesWithDamage(member, message.to);
      }
    } else if (type === "vote-request") {
      this.#vote(member, term, member.id);
      if (message.transfer) return;
      check(
        member.preVoteWon === term ||
          this.#agree(member, member.preVoteTerm === term ? member.preVotes : 0),
        "pre-vote first",
        () => `member ${member.id} asks for votes of ${term}, for which no majority encouraged it`,
      );
    } else if (type === "install-snapshot") {
      const { index, configuration } = message.snapshot;
      check(
        this.#ledger.committedTerm(index) === message.snapshot.term,
        "state machine safety",
        () => `member ${member.id} sends a snapshot of ${index}, which is not committed so`,
      );
      this.#ledger.agrees(member.id, index, configuration);
    }
  }

  /** As it arrives: who agreed to what. */
  receives(member: SimMember, message: Message): void {
    if (message.type === "vote-request" && member.disk.recoverTo > 0) {
      member.asked.set(message.from, message);
    } else if (message.type === "pre-vote-response") {
      // An answer to an earlier question may be late.
      if (!message.granted || message.term < member.preVoteTerm) return;
      if (member.preVoteTerm !== message.term) member.preVotes = 0;
      member.preVoteTerm = message.term;
      member.preVotes |= 1 << message.from;
      // The configuration that decides may be another one when the vote request leaves.
      if (this.#agree(member, member.preVotes)) member.preVoteWon = message.term;
    } else if (message.type === "vote-response" && message.granted) {
      if (message.term < member.grantTerm) return;
      if (member.grantTerm !== message.term) member.grants = 0;
      member.grantTerm = message.term;
      member.grants |= 1 << message.from;
    }
  }

  /** Whether these and the member itself decide, as the member knows its group. */
  #agree(member: SimMember, others: number): boolean {
    const configuration = this.#ledger.configurationAt(member.appliedIndex);
    return quorumOf(configuration, others | (1 << member.id));
  }

  #vote(member: SimMember, term: number, candidate: number): void {
    const { disk } = member;
    check(
      disk.term > term || disk.vote === candidate,
      "durable before told",
      () => `member ${member.id} tells its vote for ${candidate}, durable is ${disk.vote}`,
    );
    this.#ledger.votes(member.id, term, candidate);
  }

  /** This is the member's commit index: of a leader it stands at an entry of its own term. */
  commits(member: SimMember, commit: number): void {
    if (!this.reaches(member, commit)) return;
    const term = this.#ledger.committedTerm(commit);
    check(
      member.leading === 0 || member.leading === term,
      "commit of own term",
      () =>
        `leader ${member.id} of ${member.leading} commits ${commit} of term ${term} by counting`,
    );
  }

  /** The member takes everything up to here to be committed. Whether nobody knew that. */
  reaches(member: SimMember, commit: number): boolean {
    if (commit <= member.commit) return false;
    const ledger = this.#ledger;
    const now = member.core?.term ?? 0;
    let news = false;
    const known = Math.max(member.commit, Math.min(ledger.committed, commit - 1));
    for (let index = known + 1; index <= commit; index++) {
      let term = member.termAt(index);
      // A leader may commit its own entry before its disk was even asked to write it.
      if (term === undefined && index === commit && index > member.lastIndex) term = member.leading;
      if (term === undefined || term === 0) continue;
      news = ledger.commits(member.id, index, term, now) || news;
    }
    member.commit = commit;
    if (news) this.#checkHolders(member, commit);
    return news;
  }

  #checkHolders(member: SimMember, commit: number): void {
    const term = this.#ledger.committedTerm(commit);
    let holders = 0;
    for (const other of this.#members) {
      if (other.exists && other.disk.holds(commit, term)) holders |= 1 << other.id;
    }
    const { reconfiguredAt, lastWhenReconfigured } = member;
    // What was committed before the change was applied may become known after it.
    const mayBeEarlier = reconfiguredAt > 1 && commit <= lastWhenReconfigured;
    check(
      quorumOf(this.#ledger.configurationAt(member.appliedIndex), holders) ||
        (mayBeEarlier && quorumOf(this.#ledger.configurationAt(reconfiguredAt - 1), holders)),
      "commit by quorum",
      () => `member ${member.id} commits ${commit}, durable only on set ${holders.toString(2)}`,
    );
  }
}

/** A damaged log elects nobody whom the whole one would have refused. */
function votesWithDamage({ id, disk, asked }: SimMember, candidate: number): void {
  const { recoverTo, recoverToTerm } = disk;
  const { lastIndex = 0, lastTerm = 0 } = asked.get(candidate) ?? {};
  check(
    lastTerm > recoverToTerm || (lastTerm === recoverToTerm && lastIndex >= recoverTo),
    "durable before told",
    () => `member ${id} votes for ${candidate} although its log went to ${recoverTo} before`,
  );
}
