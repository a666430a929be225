import type { Configuration, LogEntry, LogIndex, MemberId, Term } from "../../../src/raft/index.ts";
import { check } from "./violation.ts";

/** Bounds of one run; the arrays are made once and reused by every seed. */
export const MAX_MEMBERS = 8;
export const MAX_INDEX = 4_096;
export const MAX_TERM = 1_024;
/** Different terms that one position of the log may have had. */
const VARIANTS = 16;

/** Where a configuration came into force. */
interface InForce {
  readonly index: number;
  readonly configuration: Configuration;
  readonly text: string;
}

/**
 * What is true of the group as a whole, seen from outside: who led which term, which entries there
 * ever were, what is committed. Each fact is written once and compared ever after, so that every
 * check costs a constant time:
 *
 * - Log matching (dissertation, figure 3.2) holds by induction when (index, term) always stands for
 *   the same data *and* the same term before it.
 * - Leader completeness then needs only the last committed entry to be compared.
 */
export class Ledger {
  /** The highest index that anybody knows to be committed. */
  committed = 0;
  readonly #leaderOf = new Uint8Array(MAX_TERM);
  readonly #votes = new Uint8Array(MAX_TERM * MAX_MEMBERS);
  readonly #committedTerm = new Int32Array(MAX_INDEX);
  /** The term in which somebody first took it to be committed; not before its own. */
  readonly #committedIn = new Int32Array(MAX_INDEX);
  readonly #committedData = new Int32Array(MAX_INDEX);
  readonly #variantTerm = new Int32Array(MAX_INDEX * VARIANTS);
  readonly #variantData = new Int32Array(MAX_INDEX * VARIANTS);
  readonly #variantBefore = new Int32Array(MAX_INDEX * VARIANTS);
  readonly #variants = new Uint8Array(MAX_INDEX);
  #highest = 0;
  #highestTerm = 0;
  #inForce: InForce[] = [];

  /** Begins a run: the first configuration stands at index 1, of term 1, known to be committed. */
  reset(initial: Configuration): void {
    this.#leaderOf.fill(0, 0, this.#highestTerm + 1);
    this.#votes.fill(0, 0, (this.#highestTerm + 1) * MAX_MEMBERS);
    this.#variants.fill(0, 0, this.#highest + 1);
    this.#committedTerm.fill(0, 0, this.#highest + 1);
    this.#committedIn.fill(0, 0, this.#highest + 1);
    this.#highest = 1;
    this.#highestTerm = 1;
    this.committed = 1;
    this.#committedTerm[1] = 1;
    this.#committedData[1] = 0;
    this.#inForce = [{ index: 1, configuration: initial, text: describe(initial) }];
  }

  /** Election safety: at most one leader a term. */
  leads(member: number, term: number): void {
    this.#sawTerm(term);
    const known = this.#leaderOf[term] as number;
    check(
      known === 0 || known === member,
      "election safety",
      () => `members ${known} and ${member} both lead term ${term}`,
    );
    this.#leaderOf[term] = member;
  }

  leaderOf(term: number): number {
    return this.#leaderOf[term] as number;
  }

  votes(member: number, term: number, candidate: number): void {
    this.#sawTerm(term);
    const at = term * MAX_MEMBERS + member;
    const known = this.#votes[at] as number;
    check(
      known === 0 || known === candidate,
      "one vote a term",
      () => `member ${member} voted for ${known} and for ${candidate} in term ${term}`,
    );
    this.#votes[at] = candidate;
  }

  votedFor(member: number, term: number): number {
    return this.#votes[term * MAX_MEMBERS + member] as number;
  }

  /** Log matching: told of every entry that enters any log, with the term before it. */
  entered(entry: LogEntry, termBefore: number): void {
    const { index, term } = entry;
    this.#sawIndex(index);
    const data = fingerprint(entry);
    const count = this.#variants[index] as number;
    const base = index * VARIANTS;
    for (let at = base; at < base + count; at++) {
      if (this.#variantTerm[at] !== term) continue;
      check(
        this.#variantData[at] === data && this.#variantBefore[at] === termBefore,
        "log matching",
        () =>
          `entry ${index} of term ${term} is ${data} after term ${termBefore} here, ` +
          `${this.#variantData[at]} after term ${this.#variantBefore[at]} elsewhere`,
      );
      return;
    }
    check(count < VARIANTS, "assertion", () => `index ${index} was written in ${count} terms`);
    this.#variantTerm[base + count] = term;
    this.#variantData[base + count] = data;
    this.#variantBefore[base + count] = termBefore;
    this.#variants[index] = count + 1;
  }

  /**
   * A member, in the term `now`, takes the entry at this index to be committed. True when it is
   * news to all.
   */
  commits(member: number, index: number, term: number, now: number): boolean {
    this.#sawIndex(index);
    const known = this.#committedTerm[index] as number;
    check(
      known === 0 || known === term,
      "log never lost",
      () => `${index} is committed with term ${known}; member ${member} commits term ${term}`,
    );
    if (known === 0) this.#committedIn[index] = now;
    this.#committedTerm[index] = term;
    if (index <= this.committed) return false;
    this.committed = index;
    return true;
  }

  /**
   * The last entry that was committed in a term before this one: a leader of this term has it. (One
   * that hears late of its election may lack what later terms committed.)
   */
  promisedTo(term: number): number {
    let index = this.committed;
    while (index > 1 && (this.#committedIn[index] as number) >= term) index -= 1;
    return index;
  }

  committedTerm(index: number): number {
    return this.#committedTerm[index] as number;
  }

  /** State machine safety: nobody applies anything else at this index. */
  applies(member: number, entry: LogEntry, now: number): void {
    const { index, term } = entry;
    const data = fingerprint(entry);
    const known = this.#committedTerm[index] as number;
    check(
      known === 0 || known === term,
      "state machine safety",
      () => `member ${member} applies ${index} of term ${term}, others of term ${known}`,
    );
    if (known === 0) this.commits(member, index, term, now);
    this.#committedData[index] = data;
  }

  /** The fingerprint of the committed entry. */
  committedData(index: number): number {
    return this.#committedData[index] as number;
  }

  /** The configuration that is in force once this index is applied. */
  configurationAt(index: number): Configuration {
    return this.#inForceAt(index).configuration;
  }

  /** Where the newest configuration came into force. */
  get reconfiguredAt(): number {
    return (this.#inForce[this.#inForce.length - 1] as InForce).index;
  }

  reconfigures(member: number, index: number, configuration: Configuration): void {
    const text = describe(configuration);
    const last = this.#inForce[this.#inForce.length - 1] as InForce;
    if (index > last.index) {
      this.#inForce.push({ index, configuration, text });
      return;
    }
    const known = this.#inForceAt(index);
    check(
      known.index === index && known.text === text,
      "configuration",
      () => `after ${index} member ${member} has ${text}, others ${known.text}`,
    );
  }

  /** A snapshot says what is in force. */
  agrees(member: number, index: number, configuration: Configuration): void {
    const known = this.#inForceAt(index);
    const text = describe(configuration);
    check(
      known.text === text,
      "configuration",
      () => `a snapshot of ${index} for ${member} has ${text}, not ${known.text}`,
    );
  }

  #inForceAt(index: number): InForce {
    let at = this.#inForce.length - 1;
    while (at > 0 && (this.#inForce[at] as InForce).index > index) at -= 1;
    return this.#inForce[at] as InForce;
  }

  #sawTerm(term: number): void {
    check(term < MAX_TERM, "assertion", () => `term ${term} in so short a run`);
    if (term > this.#highestTerm) this.#highestTerm = term;
  }

  #sawIndex(index: number): void {
    check(index < MAX_INDEX, "assertion", () => `index ${index} in so short a run`);
    if (index > this.#highest) this.#highest = index;
  }
}

/** Tells the entries of a run apart: what the workload wrote, or the kind and size. */
export function fingerprint(entry: LogEntry): number {
  const { data } = entry;
  if (entry.type === "config") {
    let sum = 0x40_0000;
    for (let at = 0; at < data.length; at++) sum = (Math.imul(sum, 31) + (data[at] as number)) | 0;
    return sum;
  }
  if (data.length < 4) return data.length;
  return (
    (data[0] as number) |
    ((data[1] as number) << 8) |
    ((data[2] as number) << 16) |
    ((data[3] as number) << 24)
  );
}

/** Lists in one order: what counts is who is in them. */
function describe(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext, witnesses } = configuration;
  const lists = [voters, outgoing, learners, learnersNext, witnesses];
  return lists.map((list) => [...list].sort((a, b) => a - b).join(",")).join("/");
}

export const asIndex = (index: number): LogIndex => index as LogIndex;
export const asTerm = (term: number): Term => term as Term;
export const asMember = (member: number): MemberId => member as MemberId;
