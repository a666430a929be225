import type { Configuration, MemberId, RaftLimits } from "../../../src/raft/index.ts";
import { FaultPlan } from "./fault-plan.ts";
import { Group, PLAN } from "./group.ts";
import type { CreateRaft } from "./group.ts";
import { asIndex, asMember, asTerm } from "./ledger.ts";
import { Pace } from "./pace.ts";
import type { SimMember } from "./sim-member.ts";
import type { CoreStatistics } from "./core-statistics.ts";
import { check, Violation } from "./violation.ts";
import { Workload } from "./workload.ts";

/** A step is 10 ms of virtual time, a tick of the core 100 ms. */
export const STEPS_A_SECOND = 100;
const WARM_UP = 2 * STEPS_A_SECOND;
const FAULTS_END = 45 * STEPS_A_SECOND;
/** The last proposal, long after the faults; everybody must have it at the end. */
const LAST_PROPOSAL = 57 * STEPS_A_SECOND;
const END = 62 * STEPS_A_SECOND;
const MIN_OPERATIONS = 200;
const MIN_FAULTS = 6;

export interface CoreOutcome {
  readonly seed: number;
  /** Differs when anything that happened differs. */
  readonly traceHash: number;
  readonly violation?: Violation;
  /** The last events, when the run was recorded. */
  readonly lines: readonly string[];
}

/** Runs seeds of the consensus core alone, one after the other, in the memory of one. */
export class CoreSimulation {
  readonly #group: Group;
  readonly #workload: Workload;
  readonly #faults: FaultPlan;
  readonly #operations = new Pace();
  readonly #strikes = new Pace();
  #lastIndex = 0;

  constructor(createRaft: CreateRaft) {
    this.#group = new Group(createRaft);
    this.#workload = new Workload(this.#group);
    this.#faults = new FaultPlan(this.#group, (delay, what) =>
      this.#group.queue.schedule(delay, PLAN, 0, what),
    );
  }

  get statistics(): CoreStatistics {
    return this.#group.statistics;
  }

  run(seed: number, options: { readonly recording?: number } = {}): CoreOutcome {
    const { trace, statistics } = this.#group;
    trace.reset(options.recording ?? 0);
    let violation: Violation | undefined;
    try {
      this.#prepare(seed);
      this.#play();
      this.#converged();
      const acknowledged = this.#workload.verify();
      statistics.count("acknowledged", acknowledged);
    } catch (error) {
      violation =
        error instanceof Violation
          ? error
          : new Violation(
              "assertion",
              error instanceof Error ? (error.stack ?? "") : String(error),
            );
    }
    statistics.seeds += 1;
    const outcome = { seed, traceHash: trace.hash, lines: trace.lastLines() };
    return violation === undefined ? outcome : { ...outcome, violation };
  }

  #prepare(seed: number): void {
    const group = this.#group;
    group.reset(seed);
    const { prng } = group;
    const size = prng.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5]) ?? 3;
    const members = Array.from({ length: size }, (_, at) => asMember(at + 1));
    const witness = size === 3 && prng.permille(150);
    const configuration = configurationOf(members, witness ? [asMember(size)] : []);
    if (witness) group.statistics.count("witness");
    group.limits = this.#limits();
    group.ledger.reset(configuration);
    this.#workload.reset(size + 1);
    for (const id of members) {
      const member = group.members[id] as SimMember;
      member.disk.reset({ index: asIndex(1), term: asTerm(1), configuration });
      group.start(member);
    }
    this.#operations.reset(MIN_OPERATIONS + prng.below(20), WARM_UP, LAST_PROPOSAL);
    this.#strikes.reset(MIN_FAULTS + prng.below(10), WARM_UP, FAULTS_END);
  }

  /** Tight bounds in many seeds: windows that fill, logs that are not in memory. */
  #limits(): Partial<RaftLimits> {
    const { prng } = this.#group;
    return {
      electionTicks: 10,
      heartbeatTicks: prng.pick([1, 2, 3, 4]) ?? 1,
      maxAppendBytes: prng.pick([100, 1_000, 100_000]) ?? 1_000,
      maxInflightAppends: prng.pick([1, 4, 64]) ?? 4,
      maxInflightBytes: prng.pick([200, 10_000]) ?? 10_000,
      maxUncommittedBytes: prng.pick([2_000, 100_000]) ?? 2_000,
      maxMemoryLogBytes: prng.pick([100, 1_000, 100_000]) ?? 1_000,
      maxCommittedBytes: prng.pick([100, 100_000]) ?? 1_000,
    };
  }

  #play(): void {
    const { queue, statistics } = this.#group;
    for (; queue.step < END; queue.step++) {
      const { step } = queue;
      if (this.#operations.due(step)) this.#operate(step);
      if (this.#strikes.due(step)) this.#strike(step);
      if (step === FAULTS_END) this.#faults.end();
      if (step === LAST_PROPOSAL) this.#proposeLast();
      while (queue.take()) {
        if (queue.kind === PLAN) this.#faults.undo(queue.detail);
        else this.#group.handle();
      }
    }
    statistics.virtualSeconds += END / STEPS_A_SECOND;
  }

  #operate(step: number): void {
    const { prng } = this.#group;
    while (this.#operations.due(step)) {
      this.#workload.operate({ calm: step >= FAULTS_END });
      this.#operations.next(step, prng);
    }
  }

  #strike(step: number): void {
    while (this.#strikes.due(step)) {
      this.#faults.strike();
      this.#strikes.next(step, this.#group.prng);
    }
  }

  /** Long after the faults somebody leads, and takes a proposal. */
  #proposeLast(): void {
    const group = this.#group;
    const leader = this.#leader();
    check(leader !== undefined, "convergence", () => "nobody leads 12 s after the last fault");
    this.#lastIndex = this.#workload.proposeAt(leader);
    check(this.#lastIndex > 0, "convergence", () => `leader ${leader.id} takes no proposal`);
    if (group.trace.recording) group.trace.line(`${group.queue.step} last ${this.#lastIndex}`);
  }

  /** Every member of the group has applied what was proposed last. */
  #converged(): void {
    const group = this.#group;
    const leader = this.#leader();
    check(leader !== undefined, "convergence", () => "nobody leads at the end");
    const { voters, outgoing, learners } = group.ledger.configurationAt(group.ledger.committed);
    check(outgoing.length === 0, "convergence", () => "the group is still joint at the end");
    for (const id of [...voters, ...learners]) {
      const { appliedIndex } = group.members[id] as SimMember;
      check(
        appliedIndex >= this.#lastIndex,
        "convergence",
        () => `member ${id} applied ${appliedIndex} of ${this.#lastIndex} at the end`,
      );
    }
  }

  /** The one of the latest term: an earlier one may not know yet. */
  #leader(): SimMember | undefined {
    let leader: SimMember | undefined;
    for (const member of this.#group.members) {
      if (member.leading > (leader?.leading ?? 0)) leader = member;
    }
    return leader;
  }
}

function configurationOf(
  voters: readonly MemberId[],
  witnesses: readonly MemberId[],
): Configuration {
  return { voters, witnesses, outgoing: [], learners: [], learnersNext: [], autoLeave: false };
}
