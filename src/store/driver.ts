import type { StoreError } from "../mvcc/index.ts";
import type { Command, CommandResult } from "../mvcc/index.ts";
import type {
  ConfigStep,
  LogEntry,
  LogIndex,
  LogLoad,
  MemberId,
  Message,
  RaftCore,
  RaftStatus,
  Ready,
  SnapshotPoint,
  Term,
} from "../raft/index.ts";
import { bestSuccessor } from "./best-successor.ts";
import { isDiskFull } from "./disk.ts";
import { closedError, fateUnknownError, modeRefusal, storeMode, toError } from "./driver-mode.ts";
import type { DriverMode } from "./driver-mode.ts";
import type { DriverOptions } from "./driver-options.ts";
import { Gate } from "./gate.ts";
import { encodeContext } from "./group-record.ts";
import type { GroupRecord } from "./group-record.ts";
import { GroupView } from "./group-view.ts";
import { leadershipOf, LeadershipView } from "./leadership-view.ts";
import type { LogAppend, LogPoint } from "./log/log-types.ts";
import { Outbox } from "./outbox.ts";
import { notLeaderError, Proposals } from "./proposals.ts";
import { ReadBarrier } from "./read-barrier.ts";
import type { Leadership, Member, StoreMode } from "./store.ts";
import { Ticker } from "./ticker.ts";
import { waitForSpace } from "./wait-for-space.ts";

/** A leader that was removed calls another one up after this. */
const SUCCESSION_MS = 20;
const READ_CONTEXTS = 2 ** 48;

/**
 * Drives the core: what waits becomes one log entry (group commit), which is written while the one
 * before is applied and while the followers write it too. One loop at a time, which ends when there
 * is nothing to do: a member that is alone has no timer and writes nothing when idle.
 */
export class Driver {
  readonly #options: DriverOptions;
  readonly #core: RaftCore;
  readonly #proposals: Proposals;
  readonly #reads: ReadBarrier;
  readonly #ticker: Ticker;
  readonly #outbox: Outbox;
  readonly #closing = new AbortController();
  readonly leadership: LeadershipView;
  #mode: DriverMode = { type: "open" };
  readonly #group: GroupView;
  #loop: Promise<void> | undefined;
  /** Held while somebody else must be alone with the state. */
  readonly #gate = new Gate();
  /** Whoever brought a snapshot waits to hear whether it was wanted. */
  #offered: PromiseWithResolvers<boolean> | undefined;
  /** Resolves when a member that is alone leads, or cannot. */
  #begun: PromiseWithResolvers<void> | undefined;
  #outstanding = false;
  #dropped: LogPoint | undefined;

  constructor(options: DriverOptions) {
    const { core, clock, random, limits, transport, snapshots } = options;
    this.#options = options;
    this.#core = core;
    this.#group = new GroupView(core, options.group);
    this.#proposals = new Proposals(limits);
    this.#reads = new ReadBarrier(Math.floor(random.float() * READ_CONTEXTS));
    this.#outbox = new Outbox({ core, transport, sendSnapshot: (to) => snapshots.send(to) });
    this.#ticker = new Ticker(clock, (count) => this.#tick(count));
    this.leadership = new LeadershipView(this.#currentLeadership());
  }

  /** Begins to take part: a member that is alone leads when the returned promise resolves. */
  async start(): Promise<void> {
    this.#outbox.setPeers(this.#group.record);
    this.#updateTicking();
    if (this.#group.alone) this.#core.campaign();
    this.#kick();
    if (!this.#group.alone || this.leadership.now.self) return;
    // A full disk keeps it from leading: reads are served meanwhile.
    this.#begun = Promise.withResolvers<void>();
    await this.#begun.promise;
  }

  get mode(): StoreMode {
    return storeMode(this.#mode);
  }

  /** No other member has a say or receives the log. */
  get alone(): boolean {
    return this.#group.alone;
  }

  get failed(): boolean {
    return this.#mode.type === "failed";
  }

  get group(): GroupRecord {
    return this.#group.record;
  }

  get appliedPoint(): LogPoint {
    const { appliedIndex, appliedTerm } = this.#options.applier;
    return { index: appliedIndex as LogIndex, term: appliedTerm as Term };
  }

  status(): RaftStatus {
    return this.#core.status();
  }

  /** Resolves when what the driver has to do now is done. */
  async idle(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop;
  }

  /**
   * Resolves when the command is durable on a majority and applied here.
   * @param term the only term in which it may be written; 0 for any
   * @throws StoreError overloaded, not-leader, unavailable, read-only, closed
   */
  propose(command: Command, term: Term | 0 = 0): Promise<CommandResult> {
    const refusal = this.#refusal(term);
    if (refusal !== undefined) return Promise.reject(refusal);
    const result = this.#proposals.add(command, term);
    this.#kick();
    return result;
  }

  /** Resolves when the change is applied here. "busy": another one is under way. */
  proposeConfig(
    steps: readonly ConfigStep[],
    members: readonly Member[],
  ): Promise<"done"> | "busy" | { readonly type: "invalid"; readonly reason: string } {
    const refusal = this.#refusal(0);
    if (refusal !== undefined) return Promise.reject(refusal);
    const result = this.#core.proposeConfig({ steps, context: encodeContext(members) });
    if (result.type === "busy") return "busy";
    if (result.type === "invalid") return result;
    if (result.type === "not-leader") return Promise.reject(notLeaderError(this.#core.leader));
    const { promise, resolve, reject } = Promise.withResolvers<"done">();
    this.#proposals.track({ ...result, nowMs: this.#now() }, (outcome) => {
      if (outcome instanceof Error) reject(outcome);
      else resolve("done");
    });
    this.#kick();
    return promise;
  }

  /** Resolves when a read of the state sees all that was acknowledged before the call. */
  readIndex(): Promise<void> {
    const { type } = this.#mode;
    if (type === "closed" || type === "removed") return Promise.reject(closedError());
    // Nobody else acknowledges anything, and what was acknowledged here is applied here.
    if (this.#group.alone && (this.leadership.now.self || type !== "open"))
      return Promise.resolve();
    const refusal = modeRefusal(this.#mode, "read");
    if (refusal !== undefined) return Promise.reject(refusal);
    const answered = this.#reads.add(this.#now());
    this.#kick();
    return answered;
  }

  transferLeadership(to: MemberId): void {
    this.#core.transferLeadership(to);
    this.#kick();
  }

  /** Entries up to the point are no longer in the log; the state stands for them. */
  compacted(point: LogPoint): void {
    this.#dropped = point;
    if (!this.#outstanding) this.#tellDropped();
  }

  /** Not during a step: the core counts as applied what a step applied only when it is over. */
  #tellDropped(): void {
    if (this.#dropped === undefined) return;
    const { configuration } = this.#group.record;
    this.#core.compacted({ ...this.#dropped, configuration });
    this.#dropped = undefined;
  }

  reportSnapshot(member: MemberId, outcome: "finished" | "failed"): void {
    this.#core.reportSnapshot(member, outcome);
    this.#kick();
  }

  receive(messages: readonly Message[]): void {
    if (!this.#takesPart()) return;
    for (const message of messages) {
      if (message.to === this.#core.id) this.#core.step(message);
    }
    this.#updateLeadership();
    this.#sendEarly();
    this.#kick();
  }

  /**
   * A peer's state arrived. Resolves with whether it was installed: the core does not want what
   * the log brought meanwhile.
   */
  offerSnapshot(from: MemberId, snapshot: SnapshotPoint): Promise<boolean> {
    if (!this.#takesPart() || this.#offered !== undefined) return Promise.resolve(false);
    const offered = Promise.withResolvers<boolean>();
    this.#offered = offered;
    const { id: to, term } = this.#core;
    this.receive([{ type: "install-snapshot", from, to, term, snapshot }]);
    return offered.promise;
  }

  peerDown(peer: MemberId): void {
    if (!this.#takesPart()) return;
    this.#core.reportUnreachable(peer);
    this.#updateLeadership();
    this.#kick();
  }

  /** Nothing is applied while the work runs. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#gate.hold(work);
  }

  /** Nothing is written any more: what is on the medium is unknown. */
  fail(error: Error): void {
    if (this.#mode.type === "failed" || this.#mode.type === "closed") return;
    this.#mode = { type: "failed", error };
    this.#options.logger.error("the store takes no more writes", { error: error.message });
    this.#ticker.stop();
    this.#settleAll();
    this.#updateLeadership();
    this.#options.onFatal(error);
  }

  /** Finishes what is under way; a leader hands over. */
  async close(): Promise<void> {
    if (this.#mode.type === "closed") return this.idle();
    if (this.#mode.type === "open") {
      if (!this.#group.alone) this.#outbox.handOver();
      this.#mode = { type: "closed" };
    }
    this.#closing.abort();
    this.#ticker.stop();
    await this.idle();
    this.#settleAll(closedError());
    if (this.#mode.type !== "failed") this.#mode = { type: "closed" };
  }

  #kick(): void {
    if (this.#mode.type === "failed" || this.#mode.type === "removed") return;
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    // What comes in the same turn of the event loop becomes one batch.
    await Promise.resolve();
    try {
      while (this.#takesPart() && this.#fill()) await this.#step();
    } catch (error) {
      if (!this.#closing.signal.aborted || !isDiskFull(error)) this.fail(toError(error));
    } finally {
      // In the same turn in which nothing was left to do, or a proposal in between would be stuck.
      this.#loop = undefined;
    }
  }

  /** Hands the core what waits. @returns whether there is something to do */
  #fill(): boolean {
    const { leader } = this.#core;
    if (this.#proposals.waiting) this.#propose();
    if (this.#reads.unasked && leader !== 0) this.#core.readIndex(this.#reads.ask(this.#now()));
    if (this.#core.hasReady()) return true;
    this.#answerOffer({ installed: false });
    return false;
  }

  #propose(): void {
    const batch = this.#proposals.take(this.#core.term, this.#core.leader);
    if (batch === undefined) return;
    const result = this.#core.propose(batch.data);
    const { type } = result;
    if (type === "accepted") this.#proposals.proposed(batch, { ...result, nowMs: this.#now() });
    else if (type === "busy") this.#proposals.hold(batch);
    else this.#proposals.refuse(batch, notLeaderError(this.#core.leader));
  }

  async #step(): Promise<void> {
    const core = this.#core;
    const ready = core.ready();
    this.#outstanding = true;
    this.#send(ready.early);
    if (ready.softState !== undefined) this.#reads.askAnew();
    if (ready.snapshot !== undefined) await this.#install(ready.snapshot);
    else this.#answerOffer({ installed: false });
    const written = this.#write(ready);
    // It is awaited below; a rejection meanwhile must not count as unhandled.
    written?.catch(() => undefined);
    for (const load of ready.loads) void this.#load(load);
    for (const entry of ready.committed) {
      if (this.#gate.closed) await this.#gate.opened();
      if (!this.#takesPart()) break;
      try {
        this.#apply(entry);
      } catch (error) {
        await this.#whenSpace(error, async () => this.#apply(entry));
      }
    }
    this.#reads.answer(ready.readStates);
    this.#reads.applied(this.#options.applier.appliedIndex);
    if (written !== undefined) await written;
    this.#send(ready.messages);
    this.#outstanding = false;
    core.advance(ready);
    this.#tellDropped();
    this.#updateLeadership();
  }

  /** Entries and hard state in one durable write; undefined when there is none. */
  #write(ready: Ready): Promise<void> | undefined {
    const { hardState, entries } = ready;
    // The core gives a hard state when it has to be durable: by itself, or because of the entries.
    if (entries.length === 0 && hardState === undefined) return undefined;
    const write: LogAppend =
      hardState === undefined
        ? { entries }
        : { entries, hardState, ...(entries.length === 0 ? { commitCounts: true } : {}) };
    const { log } = this.#options;
    return log
      .append(write)
      .catch((error: unknown) => this.#whenSpace(error, () => log.append(write)));
  }

  #apply(entry: LogEntry): void {
    const { applier, onApplied } = this.#options;
    if (entry.type === "config") {
      this.#applyConfig(entry);
      onApplied(entry);
      this.#proposals.applied(entry, []);
      return;
    }
    const results = applier.apply(entry);
    onApplied(entry);
    this.#proposals.applied(entry, results);
  }

  #applyConfig(entry: LogEntry): void {
    const successor = this.#core.role === "leader" ? bestSuccessor(this.status()) : undefined;
    const group = this.#group.behind(entry);
    this.#options.applier.applyConfig(entry, group);
    const was = this.#group.hasSelf;
    this.#changeGroup(group);
    if (!was || this.#group.hasSelf) return;
    if (successor !== undefined) {
      // Not before it has applied this very entry: until then it does not know who votes.
      const ask = (): void => this.#outbox.askToCampaign(successor);
      this.#options.clock.after(SUCCESSION_MS, ask);
    }
    this.#proposals.applied(entry, []);
    this.#leave();
  }

  #changeGroup(group: GroupRecord): void {
    this.#group.set(group);
    this.#outbox.setPeers(group);
    this.#updateTicking();
    this.#options.onGroup(group);
  }

  /** The group goes on without this member: it never votes, answers or campaigns again. */
  #leave(): void {
    this.#mode = { type: "removed" };
    this.#options.logger.warn("this member was removed from its group");
    this.#ticker.stop();
    this.#settleAll();
    this.#options.onRemoved();
  }

  async #install(point: SnapshotPoint): Promise<void> {
    const { snapshots } = this.#options;
    const group = await snapshots
      .install(point)
      .catch((error: unknown) => this.#whenSpace(error, () => snapshots.install(point)));
    this.#proposals.skipped(point.index);
    this.#changeGroup(group);
    this.#answerOffer({ installed: true });
  }

  #answerOffer({ installed }: { readonly installed: boolean }): void {
    this.#offered?.resolve(installed);
    this.#offered = undefined;
  }

  async #load(load: LogLoad): Promise<void> {
    try {
      const entries = await this.#options.log.read(load.from, load.maxBytes);
      if (!this.#takesPart()) return;
      const gone = entries === "compacted";
      this.#core.supply(
        gone ? { type: "compacted", from: load.from } : { type: "entries", entries },
      );
      this.#kick();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.fail(toError(error));
    }
  }

  /** Does it again when there is space, writers being refused meanwhile. @throws other causes */
  async #whenSpace<Result>(cause: unknown, work: () => Promise<Result>): Promise<Result> {
    if (!isDiskFull(cause)) throw cause;
    const { clock, logger } = this.#options;
    this.#becomeFull(toError(cause));
    const { signal } = this.#closing;
    // Its peers may not have heard, or not have been able, the first time.
    const stillFull = (): void => this.#outbox.handOver();
    const result = await waitForSpace(cause, work, { clock, signal, stillFull });
    if (this.#mode.type === "full") this.#mode = { type: "open" };
    logger.info("the disk has space again: the store takes writes");
    return result;
  }

  /** Peers elect a leader whose disk has room: this one can neither write nor send meanwhile. */
  #becomeFull(error: Error): void {
    if (this.#mode.type !== "open") return;
    this.#mode = { type: "full", error };
    this.#options.logger.error("the disk is full: the store only reads until there is space", {
      error: error.message,
    });
    this.#proposals.refuseWaiting(modeRefusal(this.#mode) ?? closedError());
    this.#proposals.abandon(fateUnknownError(error.message));
    if (!this.#group.alone) this.#reads.rejectAll(modeRefusal(this.#mode, "read") ?? closedError());
    this.#outbox.handOver();
    this.#updateLeadership();
  }

  #tick(count: number): void {
    for (let number = 0; number < count; number++) this.#core.tick();
    const now = this.#now();
    this.#proposals.expire(now);
    this.#reads.sweep(now);
    this.#updateLeadership();
    this.#options.onTick();
    this.#sendEarly();
    this.#kick();
  }

  #currentLeadership(): Leadership {
    const writes = this.#mode.type === "open" || this.#mode.type === "full";
    return leadershipOf(this.#core, this.#options.applier.appliedTerm, { writes });
  }

  #updateLeadership(): void {
    const next = this.#currentLeadership();
    if (this.leadership.now.self && !next.self && this.#mode.type === "open") {
      this.#proposals.refuseWaiting(notLeaderError(this.#core.leader));
    }
    this.leadership.set(next);
    this.#updateTicking();
    if (next.self || !this.#group.alone || this.#mode.type !== "open") this.#begun?.resolve();
  }

  #send(messages: readonly Message[]): void {
    if (this.#mode.type !== "failed") this.#outbox.send(messages);
  }

  /** A leader's heartbeats and appends leave also while its own disk is busy. */
  #sendEarly(): void {
    if (this.#outstanding) this.#send(this.#core.early());
  }

  /** Who became alone when the leader left has to be elected first, by itself. */
  #updateTicking(): void {
    const settled = this.#group.alone && this.leadership.now.self;
    if (settled || !this.#takesPart() || this.#closing.signal.aborted) this.#ticker.stop();
    else this.#ticker.run();
  }

  #takesPart(): boolean {
    return this.#mode.type !== "failed" && this.#mode.type !== "removed";
  }

  /** Nobody waits any more for what this member does not do any more. */
  #settleAll(error: StoreError = modeRefusal(this.#mode) ?? closedError()): void {
    this.#proposals.refuseWaiting(error);
    this.#proposals.abandon(fateUnknownError(error.message));
    this.#reads.rejectAll(error);
    this.#answerOffer({ installed: false });
  }

  #refusal(term: Term | 0): StoreError | undefined {
    const refusal = modeRefusal(this.#mode);
    if (refusal !== undefined) return refusal;
    const fits = term === 0 || term === this.#core.term;
    return this.leadership.now.self && fits ? undefined : notLeaderError(this.#core.leader);
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }
}
